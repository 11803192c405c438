#!/bin/sh
# The last step of the example pipeline: is every row where it belongs? Needs sh, awk and wc; where sqlite3 is
# installed, it counts the tables of the database too.
#
# In:  JSONL_RECORDS, SQLITE_RECORDS: how many records the two syncs say they moved in this run.
# Out: {"rows": …, "sqlite_counted": …, "tables": {…}} in $FLEXCORE_OUTPUT.
set -eu

database=out/flights.db
failures=0
total=0
tables=
counted=false
! command -v sqlite3 >/dev/null || counted=true

fail() {
  echo "verify: $*" >&2
  failures=$((failures + 1))
}

# same WHERE FOUND EXPECTED: complains unless the two counts are the same.
same() {
  [ "$2" -eq "$3" ] || fail "$1 has $2 rows, the CSV file has $3"
}

# lines FILE PATTERN: how many lines match, the last one too when it has no newline.
lines() { awk -v pattern="$2" '$0 ~ pattern { n++ } END { print n + 0 }' "$1"; }

check() {
  csv=data/$1.csv
  jsonl=out/jsonl/$1.jsonl
  expected=$(($(lines "$csv" .) - 1))
  total=$((total + expected))
  tables="$tables${tables:+, }\"$1\": $expected"
  [ -f "$jsonl" ] || { fail "$jsonl is missing"; return 0; }

  whole=$(lines "$jsonl" '^[{].*[}]$')
  same "$jsonl" "$whole" "$expected"
  [ "$(wc -l <"$jsonl")" -eq "$whole" ] || fail "$jsonl has lines that are not whole objects"
  repeated=$(awk 'seen[$0]++ { n++ } END { print n + 0 }' "$jsonl")
  [ "$repeated" -eq 0 ] || fail "$jsonl repeats rows: $repeated"
  if $counted; then
    same "$database, table $1," "$(sqlite3 "$database" "SELECT count(*) FROM \"$1\"")" "$expected"
  fi
  echo "$1: $expected rows"
}

for table in airlines airports planes weather; do
  check "$table"
done

# A run moves only what is new, so less than everything is fine; more would be rows that were read twice.
[ -f "$database" ] || fail "$database is missing"
[ "$JSONL_RECORDS" -le "$total" ] || fail "the sync to JSON Lines moved $JSONL_RECORDS records of $total"
[ "$SQLITE_RECORDS" -le "$total" ] || fail "the sync to SQLite moved $SQLITE_RECORDS records of $total"

[ "$failures" -eq 0 ] || exit 1
printf '{"rows": %d, "sqlite_counted": %s, "tables": {%s}}\n' "$total" "$counted" "$tables" >"$FLEXCORE_OUTPUT"
