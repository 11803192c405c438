//! What is moved: rows of ten columns, the same in every run.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

const FIRST: [&str; 10] =
    ["Ana", "Bruno", "Carla", "Davi", "Elisa", "Fabio", "Gabi", "Hugo", "Iris", "Joao"];
const LAST: [&str; 6] = ["Silva", "Souza", "Costa", "Lima", "Rocha", "Alves"];
const CITIES: [&str; 6] = ["Recife", "Porto Alegre", "Curitiba", "Fortaleza", "Manaus", "Salvador"];

/// The schema of the rows as a Singer message.
pub(crate) const SCHEMA: &str = r#"{"type":"SCHEMA","stream":"orders","schema":{"type":"object","properties":{"id":{"type":"integer"},"email":{"type":["null","string"]},"name":{"type":["null","string"]},"city":{"type":["null","string"]},"country":{"type":["null","string"]},"amount":{"type":["null","number"]},"qty":{"type":["null","integer"]},"active":{"type":["null","boolean"]},"created_at":{"type":["null","string"],"format":"date-time"},"ref":{"type":["null","string"]}}},"key_properties":["id"]}"#;

/// One row.
struct Row {
    id: u32,
    bits: u64,
}

impl Row {
    fn new(id: u32) -> Self {
        // SplitMix64 (Steele, Lea and Flood, 2014) over the id: rows do not depend on each other.
        let mut bits = u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self { id, bits: bits ^ (bits >> 31) }
    }

    /// One of `bound` numbers, another one for each field.
    fn pick(&self, field: u32, bound: u64) -> u64 {
        self.bits.rotate_left(field * 7) % bound
    }

    fn word<'a>(&self, field: u32, words: &[&'a str]) -> &'a str {
        let index = self.pick(field, words.len() as u64);
        usize::try_from(index).ok().and_then(|index| words.get(index)).copied().unwrap_or_default()
    }

    fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        let (first, last) = (self.word(1, &FIRST), self.word(2, &LAST));
        let [lower, lower_last] = [first, last].map(str::to_lowercase);
        let (amount, cents) = (self.pick(3, 1000), self.pick(4, 100));
        let [month, day] = [self.pick(5, 12) + 1, self.pick(6, 28) + 1];
        let [hour, minute] = [self.pick(7, 24), self.pick(8, 60)];
        let (city, quantity) = (self.word(0, &CITIES), self.pick(2, 100));
        let active = if self.pick(5, 2) == 0 { "True" } else { "False" };
        let (id, number, bits) = (self.id, self.id % 9973, self.bits);
        writeln!(
            out,
            "{id},{lower}.{lower_last}{number}@ex.com,{first} {last},{city},BR,{amount}.{cents:02},\
             {quantity},{active},2024-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z,{bits:016x}"
        )
    }

    fn write_record(&self, out: &mut impl Write) -> io::Result<()> {
        let (first, last, city) =
            (self.word(1, &FIRST), self.word(2, &LAST), self.word(0, &CITIES));
        let (amount, cents, quantity) = (self.pick(3, 1000), self.pick(4, 100), self.pick(2, 100));
        let (id, number, bits) = (self.id, self.id % 9973, self.bits);
        let active = self.pick(5, 2) == 0;
        writeln!(
            out,
            r#"{{"type":"RECORD","stream":"orders","record":{{"id":{id},"email":"{first}.{last}{number}@ex.com","name":"{first} {last}","city":"{city}","country":"BR","amount":{amount}.{cents:02},"qty":{quantity},"active":{active},"created_at":"2024-05-17T10:20:00Z","ref":"{bits:016x}"}}}}"#
        )
    }
}

/// Writes so many rows as CSV with a header: 106 MB for a million.
pub(crate) fn write_csv(path: &Path, rows: u32) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(file, "id,email,name,city,country,amount,qty,active,created_at,ref")?;
    for id in 1..=rows {
        Row::new(id).write_csv(&mut file)?;
    }
    settle(file)
}

/// Writes so many rows as a Singer tap does: a schema, the records, a state.
pub(crate) fn write_singer(path: &Path, rows: u32) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(file, "{SCHEMA}")?;
    for id in 1..=rows {
        Row::new(id).write_record(&mut file)?;
    }
    writeln!(file, r#"{{"type":"STATE","value":{{"bookmarks":{{"orders":{{"id":{rows}}}}}}}}}"#)?;
    settle(file)
}

/// Waits until the file is on the disk, so that writing it back disturbs no measurement.
fn settle(mut file: BufWriter<File>) -> io::Result<()> {
    file.flush()?;
    file.get_ref().sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_ten_columns_and_are_the_same_each_time() {
        let line = |id| {
            let mut text = Vec::new();
            Row::new(id).write_csv(&mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        assert_eq!(line(7).split(',').count(), 10);
        assert_eq!(line(7), line(7));
        assert_ne!(line(7), line(8));
    }

    #[test]
    fn records_are_singer_messages() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        write_singer(&path, 3).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let kinds: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].clone())
            .collect();
        assert_eq!(kinds, ["SCHEMA", "RECORD", "RECORD", "RECORD", "STATE"]);
    }
}
