-- The event log. Hashes are those of `flexcore-eventsourcing`, module `chain`; positions are dense
-- and in the order of commits, because whoever appends holds one lock up to its commit.
--
-- Nobody but the owner writes these tables: everybody else calls the functions below, which run with
-- the owner's rights.

-- Tables that the application's role may change itself: views and leases.
CREATE TABLE flexcore.app_table (name name PRIMARY KEY);

CREATE TABLE flexcore.setting (key text PRIMARY KEY, value bigint NOT NULL);
INSERT INTO flexcore.setting VALUES ('positions_per_partition', 50000000);

-- Texts that repeat, stored once. Their ids never leave this database: hashes cover the texts.
CREATE TABLE flexcore.event_type (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text COLLATE "C" NOT NULL,
  schema_version int NOT NULL,
  UNIQUE (name, schema_version));
CREATE TABLE flexcore.context (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Three texts of up to 1,024 bytes would not fit into an index entry.
  key bytea NOT NULL UNIQUE,
  tenant text COLLATE "C" NOT NULL,
  actor text COLLATE "C" NOT NULL,
  content_type text COLLATE "C" NOT NULL);

-- Ids of streams are handed out in blocks of 1,000, so that a client knows the ids of the streams
-- that it is about to create. A gap means nothing.
CREATE SEQUENCE flexcore.stream_block;
CREATE TABLE flexcore.stream (
  id bigint PRIMARY KEY,
  version bigint NOT NULL,
  owner_epoch bigint NOT NULL,
  head bytea NOT NULL,
  name text COLLATE "C" NOT NULL UNIQUE
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE flexcore.stream ALTER head SET STORAGE PLAIN;

CREATE TABLE flexcore.event (
  position bigint NOT NULL,
  stream_id bigint NOT NULL,
  version bigint NOT NULL,
  occurred_at bigint NOT NULL,
  committed_at bigint NOT NULL,
  type_id int NOT NULL,
  context_id int NOT NULL,
  id uuid NOT NULL,
  correlation uuid,
  causation uuid,
  sealing_key uuid,
  leaf bytea NOT NULL,
  payload bytea NOT NULL,
  PRIMARY KEY (position)
) PARTITION BY RANGE (position);
ALTER TABLE flexcore.event ALTER leaf SET STORAGE PLAIN, ALTER payload SET STORAGE EXTERNAL;
CREATE TABLE flexcore.event_partition (
  number int PRIMARY KEY,
  first_position bigint NOT NULL,
  last_position bigint NOT NULL UNIQUE);

CREATE TABLE flexcore.batch (
  last_position bigint PRIMARY KEY,
  first_position bigint NOT NULL,
  number bigint NOT NULL UNIQUE,
  committed_at bigint NOT NULL,
  root bytea NOT NULL,
  hash bytea NOT NULL,
  -- Per stream write: stream id, first version, count, fence + 1 or 0, as unsigned LEB128.
  writes bytea NOT NULL);
ALTER TABLE flexcore.batch ALTER root SET STORAGE PLAIN, ALTER hash SET STORAGE PLAIN,
  ALTER writes SET STORAGE EXTERNAL;

CREATE FUNCTION flexcore.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on %: the event log is append-only', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON flexcore.event
  FOR EACH STATEMENT EXECUTE FUNCTION flexcore.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON flexcore.batch
  FOR EACH STATEMENT EXECUTE FUNCTION flexcore.refuse_change();

-- The clock of the log, in microseconds since 1970. Tests replace it.
CREATE FUNCTION flexcore.now() RETURNS bigint LANGUAGE sql VOLATILE
  RETURN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

-- Creates partitions until the log can grow by at least half of one, and by `needed`. Gives the last
-- position that they cover, and how many positions one covers.
CREATE FUNCTION flexcore.ensure_partitions(needed bigint, OUT covered bigint, OUT size bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp AS $$
DECLARE v_end bigint; v_number int; v_name text;
BEGIN
  PERFORM pg_advisory_xact_lock(7021435);
  SELECT value INTO size FROM setting WHERE key = 'positions_per_partition';
  SELECT coalesce(max(last_position), 0) INTO v_end FROM batch;
  LOOP
    SELECT coalesce(max(last_position), 0), coalesce(max(number), 0) INTO covered, v_number
      FROM event_partition;
    EXIT WHEN covered - v_end > size / 2 AND covered - v_end >= needed;
    v_number := v_number + 1;
    v_name := 'event_' || v_number;
    -- A table of its own first, then attached: appends wait for neither.
    EXECUTE format('CREATE TABLE flexcore.%I (LIKE flexcore.event INCLUDING ALL)', v_name);
    EXECUTE format('CREATE UNIQUE INDEX ON flexcore.%I (stream_id, version)', v_name);
    EXECUTE format('ALTER TABLE flexcore.%I ADD CONSTRAINT place CHECK (position >= %s AND position < %s)',
      v_name, covered + 1, covered + size + 1);
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON flexcore.%I '
      'FOR EACH STATEMENT EXECUTE FUNCTION flexcore.refuse_change()', v_name);
    EXECUTE format('ALTER TABLE flexcore.event ATTACH PARTITION flexcore.%I FOR VALUES FROM (%s) TO (%s)',
      v_name, covered + 1, covered + size + 1);
    EXECUTE format('ALTER TABLE flexcore.%I DROP CONSTRAINT place', v_name);
    INSERT INTO event_partition VALUES (v_number, covered + 1, covered + size);
  END LOOP;
END $$;
SELECT flexcore.ensure_partitions(0);

-- A block of stream ids: this one and the 999 after it.
CREATE FUNCTION flexcore.stream_ids() RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp
  RETURN nextval('flexcore.stream_block'::regclass) * 1000;

-- The id of an event type.
CREATE FUNCTION flexcore.event_type_id(p_name text, p_schema_version int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp AS $$
DECLARE v_id int;
BEGIN
  SELECT id INTO v_id FROM event_type WHERE name = p_name AND schema_version = p_schema_version;
  IF v_id IS NULL THEN
    INSERT INTO event_type (name, schema_version) VALUES (p_name, p_schema_version)
      ON CONFLICT DO NOTHING;
    SELECT id INTO v_id FROM event_type WHERE name = p_name AND schema_version = p_schema_version;
  END IF;
  RETURN v_id;
END $$;

-- The id of a context.
CREATE FUNCTION flexcore.context_id(p_tenant text, p_actor text, p_content_type text) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp AS $$
DECLARE
  v_id int;
  v_key bytea := sha256(convert_to(json_build_array(p_tenant, p_actor, p_content_type)::text, 'UTF8'));
BEGIN
  SELECT id INTO v_id FROM context WHERE key = v_key;
  IF v_id IS NULL THEN
    INSERT INTO context (key, tenant, actor, content_type)
      VALUES (v_key, p_tenant, p_actor, p_content_type) ON CONFLICT DO NOTHING;
    SELECT id INTO v_id FROM context WHERE key = v_key;
  END IF;
  RETURN v_id;
END $$;

-- The head of a stream after several writes: `counts` has the number of leaves of each, 4 bytes.
CREATE FUNCTION flexcore.chained_head(head bytea, leaves bytea, counts bytea) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE v_at int := 0; v_length int;
BEGIN
  FOR i IN 0 .. length(counts) / 4 - 1 LOOP
    v_length := 32 * ((get_byte(counts, 4 * i + 2) << 8) + get_byte(counts, 4 * i + 3));
    head := sha256('\x0201'::bytea || head || substring(leaves FROM v_at + 1 FOR v_length));
    v_at := v_at + v_length;
  END LOOP;
  RETURN head;
END $$;

-- One group commit. Appends are numbered from 1; each is accepted as a whole or refused as a whole,
-- and those refused come back. No stream is written by two appends of one call.
--
-- What is the same whether or not some appends are refused was prepared by the client: versions, the
-- ids of new streams, the stream writes as the batch's hash covers them (`b_writes`) and as they are
-- stored (`b_stored`), and the root. Only if some are refused is it taken apart here.
CREATE FUNCTION flexcore.append_batch(
  -- No append has more than one stream or guard: then versions are checked while they are written.
  simple boolean,
  notify boolean,
  -- An import: the batch's time, and the hash of the batch before it; else NULL.
  p_at bigint, p_before bytea,
  -- Streams that exist and are written or guarded (added = 0). `largest` is the largest owner epoch
  -- that the fence allows, `epoch` what it raises it to.
  s_append int[], s_id bigint[], s_expected bigint[], s_added int[], s_largest bigint[],
  s_epoch bigint[], s_leaves bytea[], s_counts bytea[],
  -- Streams that are created, as they are after the batch.
  n_append int[], n_id bigint[], n_version bigint[], n_epoch bigint[], n_head bytea[], n_name text[],
  -- Guards on streams that must not exist.
  g_append int[], g_name text[],
  -- Per append: how many stream writes it has, and where its part of both forms of them ends.
  a_writes int[], a_writes_end int[], a_stored_end int[],
  b_count int, b_writes bytea, b_stored bytea, b_root bytea,
  e_append int[], e_stream bigint[], e_version bigint[], e_occurred bigint[], e_type int[],
  e_context int[], e_id uuid[], e_correlation uuid[], e_causation uuid[], e_sealing uuid[],
  e_leaf bytea[], e_payload bytea[],
  OUT number bigint, OUT last_position bigint, OUT hash bytea, OUT refused int[]
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp AS $$
DECLARE
  v_first bigint;
  v_at bigint;
  v_before bytea;
  v_count int := cardinality(e_id);
  v_accepted int[];
  v_created bigint[];
BEGIN
  -- Held up to the commit. What is read below is read by later statements, which see all that was
  -- committed before the lock was had.
  PERFORM pg_advisory_xact_lock(7021434);
  SELECT b.number, b.last_position, b.committed_at, b.hash
    INTO number, last_position, v_at, v_before
    FROM batch b ORDER BY b.last_position DESC LIMIT 1;
  IF NOT FOUND THEN
    number := 0; last_position := 0; v_before := decode(repeat('00', 32), 'hex');
  END IF;
  IF p_before IS NOT NULL AND (p_before <> v_before OR p_at < v_at) THEN
    RAISE EXCEPTION 'the batch does not follow batch %', number USING ERRCODE = 'FX001';
  END IF;
  v_at := greatest(v_at, coalesce(p_at, flexcore.now()));

  refused := '{}';
  IF NOT simple THEN
    SELECT coalesce(array_agg(DISTINCT r.append), '{}') INTO refused FROM (
      SELECT w.append FROM unnest(s_append, s_id, s_expected, s_largest) w (append, id, expected, largest)
        LEFT JOIN stream s ON s.id = w.id
        WHERE s.version IS DISTINCT FROM w.expected OR s.owner_epoch > w.largest
      UNION ALL
      SELECT g.append FROM unnest(n_append || g_append, n_name || g_name) g (append, name)
        JOIN stream s ON s.name = g.name COLLATE "C") r;
  END IF;
  IF cardinality(s_id) > 0 THEN
    WITH written AS (
      UPDATE stream s SET version = s.version + w.added,
        owner_epoch = greatest(s.owner_epoch, w.epoch),
        head = CASE WHEN w.counts IS NULL THEN sha256('\x0201'::bytea || s.head || w.leaves)
                    ELSE chained_head(s.head, w.leaves, w.counts) END
      FROM unnest(s_append, s_id, s_expected, s_added, s_largest, s_epoch, s_leaves, s_counts)
        w (append, id, expected, added, largest, epoch, leaves, counts)
      WHERE s.id = w.id AND s.version = w.expected AND s.owner_epoch <= w.largest AND w.added > 0
        AND w.append <> ALL (refused)
      RETURNING w.append)
    SELECT array_agg(append) INTO v_accepted FROM written;
  END IF;
  IF cardinality(n_id) > 0 THEN
    WITH written AS (
      INSERT INTO stream (id, version, owner_epoch, head, name)
      SELECT n.id, n.version, n.epoch, n.head, n.name
        FROM unnest(n_append, n_id, n_version, n_epoch, n_head, n_name)
          n (append, id, version, epoch, head, name)
        WHERE n.append <> ALL (refused)
      ON CONFLICT (name) DO NOTHING RETURNING id)
    SELECT array_agg(id) INTO v_created FROM written;
  END IF;
  IF simple AND coalesce(cardinality(v_accepted), 0) + coalesce(cardinality(v_created), 0)
      < cardinality(s_id) + cardinality(n_id) THEN
    SELECT array_agg(r.append) INTO refused FROM (
      SELECT unnest(s_append) AS append EXCEPT SELECT unnest(v_accepted)
      UNION ALL
      SELECT n.append FROM unnest(n_append, n_id) n (append, id)
        WHERE n.id <> ALL (coalesce(v_created, '{}'))) r;
  END IF;
  IF p_before IS NOT NULL AND cardinality(refused) > 0 THEN
    RAISE EXCEPTION 'the batch does not fit the ends of streams' USING ERRCODE = 'FX001';
  END IF;

  v_first := last_position + 1;
  IF cardinality(refused) = 0 THEN
    INSERT INTO event
      SELECT v_first + e.ordinal - 1, e.stream, e.version, e.occurred, v_at, e.type, e.context,
             e.id, e.correlation, e.causation, e.sealing, e.leaf, e.payload
        FROM unnest(e_stream, e_version, e_occurred, e_type, e_context, e_id, e_correlation,
            e_causation, e_sealing, e_leaf, e_payload) WITH ORDINALITY
          e (stream, version, occurred, type, context, id, correlation, causation, sealing, leaf,
             payload, ordinal);
  ELSE
    WITH accepted AS (
      SELECT row_number() OVER (ORDER BY e.ordinal) AS place, e.*
        FROM unnest(e_append, e_stream, e_version, e_occurred, e_type, e_context, e_id,
            e_correlation, e_causation, e_sealing, e_leaf, e_payload) WITH ORDINALITY
          e (append, stream, version, occurred, type, context, id, correlation, causation, sealing,
             leaf, payload, ordinal)
        WHERE e.append <> ALL (refused)),
    written AS (
      INSERT INTO event
      SELECT v_first + e.place - 1, e.stream, e.version, e.occurred, v_at, e.type, e.context, e.id,
             e.correlation, e.causation, e.sealing, e.leaf, e.payload
        FROM accepted e ORDER BY e.place
      RETURNING position, event.leaf)
    SELECT count(*), sha256('\x0301'::bytea || string_agg(w.leaf, ''::bytea ORDER BY w.position))
      INTO v_count, b_root FROM written w;
    SELECT sum(a.writes),
        string_agg(substring(b_writes FROM a.writes_from + 1 FOR a.writes_end - a.writes_from),
          ''::bytea ORDER BY a.ordinal),
        string_agg(substring(b_stored FROM a.stored_from + 1 FOR a.stored_end - a.stored_from),
          ''::bytea ORDER BY a.ordinal)
      INTO b_count, b_writes, b_stored
      FROM (SELECT t.*, coalesce(lag(t.writes_end) OVER w, 0) AS writes_from,
                   coalesce(lag(t.stored_end) OVER w, 0) AS stored_from
              FROM unnest(a_writes, a_writes_end, a_stored_end) WITH ORDINALITY
                t (writes, writes_end, stored_end, ordinal)
            WINDOW w AS (ORDER BY t.ordinal)) a
      WHERE a.ordinal <> ALL (refused);
  END IF;
  IF v_count = 0 THEN
    number := NULL;
    RETURN;
  END IF;

  number := number + 1;
  last_position := last_position + v_count;
  hash := sha256('\x0401'::bytea || v_before || int8send(v_first) || int8send(last_position)
    || int8send(v_at) || b_root || int4send(b_count) || b_writes);
  INSERT INTO batch VALUES (last_position, v_first, number, v_at, b_root, hash, b_stored);
  IF notify THEN
    PERFORM pg_notify('flexcore', last_position::text);
  END IF;
END $$;

-- The short way for one event of one stream that exists. `number` is NULL if it is refused.
CREATE FUNCTION flexcore.append_one(
  notify boolean,
  s_id bigint, s_expected bigint, s_largest bigint, s_epoch bigint,
  b_writes bytea, b_stored bytea,
  e_occurred bigint, e_type int, e_context int, e_id uuid, e_correlation uuid, e_causation uuid,
  e_sealing uuid, e_leaf bytea, e_payload bytea,
  OUT number bigint, OUT last_position bigint, OUT hash bytea
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp AS $$
DECLARE
  v_at bigint;
  v_before bytea;
  v_root bytea := sha256('\x0301'::bytea || e_leaf);
BEGIN
  PERFORM pg_advisory_xact_lock(7021434);
  UPDATE stream SET version = version + 1, owner_epoch = greatest(owner_epoch, s_epoch),
      head = sha256('\x0201'::bytea || head || e_leaf)
    WHERE id = s_id AND version = s_expected AND owner_epoch <= s_largest;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  -- A stream that exists has a batch that wrote it.
  SELECT b.number + 1, b.last_position + 1, b.committed_at, b.hash
    INTO STRICT number, last_position, v_at, v_before
    FROM batch b ORDER BY b.last_position DESC LIMIT 1;
  v_at := greatest(v_at, flexcore.now());
  INSERT INTO event VALUES (last_position, s_id, s_expected + 1, e_occurred, v_at, e_type, e_context,
    e_id, e_correlation, e_causation, e_sealing, e_leaf, e_payload);
  hash := sha256('\x0401'::bytea || v_before || int8send(last_position) || int8send(last_position)
    || int8send(v_at) || v_root || '\x00000001'::bytea || b_writes);
  INSERT INTO batch VALUES (last_position, last_position, number, v_at, v_root, hash, b_stored);
  IF notify THEN
    PERFORM pg_notify('flexcore', last_position::text);
  END IF;
END $$;

-- The last position that was committed at or before a time; 0 if none was. Times never decrease, and
-- numbers of batches are dense, so that a binary search finds it.
CREATE FUNCTION flexcore.position_at(p_time bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_low bigint := 0;
  v_high bigint := coalesce((SELECT max(b.number) FROM flexcore.batch b), 0);
  v_middle bigint;
BEGIN
  WHILE v_low < v_high LOOP
    v_middle := (v_low + v_high + 1) / 2;
    IF (SELECT b.committed_at FROM flexcore.batch b WHERE b.number = v_middle) <= p_time THEN
      v_low := v_middle;
    ELSE
      v_high := v_middle - 1;
    END IF;
  END LOOP;
  RETURN coalesce((SELECT b.last_position FROM flexcore.batch b WHERE b.number = v_low), 0);
END $$;
