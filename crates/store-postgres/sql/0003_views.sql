-- Views: rows that projections fold out of the log, and snapshots of aggregates. All of it can be
-- built again from the log.
--
-- A set of views is a generation: tables `view_<number>_…`. One generation is in use; a rebuild fills
-- another one beside it, and then the pointer is moved. The application changes rows; tables come and
-- go by the functions below, which run with the owner's rights.

CREATE TABLE flexcore.view_generation (number int PRIMARY KEY);
CREATE TABLE flexcore.view_current (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  generation int NOT NULL REFERENCES flexcore.view_generation);

-- A snapshot belongs to no generation: it is folded from the log itself. `batch_hash` binds it to the
-- history, `seal` tells a damaged row.
CREATE TABLE flexcore.snapshot (
  version bigint NOT NULL,
  position bigint NOT NULL,
  schema_version int NOT NULL,
  batch_hash bytea NOT NULL,
  seal bytea NOT NULL,
  stream text COLLATE "C" PRIMARY KEY,
  payload bytea NOT NULL);
INSERT INTO flexcore.app_table VALUES ('snapshot');

-- Locks: 7021437 with a generation's number is held by the session that fills it; 7021438 is shared
-- by whoever writes into the generation in use, and taken alone to move the pointer.

-- Removes the tables of a generation.
CREATE FUNCTION flexcore.views_drop(p_number int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp
SET lock_timeout = '5s' AS $$
DECLARE v_table name;
BEGIN
  IF EXISTS (SELECT FROM view_current WHERE generation = p_number) THEN
    RAISE EXCEPTION 'views % are in use', p_number USING ERRCODE = 'object_in_use';
  END IF;
  FOR v_table IN SELECT name FROM app_table WHERE starts_with(name, format('view_%s_', p_number)) LOOP
    EXECUTE format('DROP TABLE IF EXISTS flexcore.%I', v_table);
    DELETE FROM app_table WHERE name = v_table;
  END LOOP;
  DELETE FROM view_generation WHERE number = p_number;
END $$;

-- Creates an empty generation and gives its number. This session holds it until it ends. Generations
-- that nobody holds and nobody uses are removed.
CREATE FUNCTION flexcore.views_create() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp
SET lock_timeout = '5s' AS $$
DECLARE v_number int; v_other int; v_table text; v_role name;
BEGIN
  PERFORM pg_advisory_xact_lock(7021439);
  FOR v_other IN SELECT number FROM view_generation
      WHERE number NOT IN (SELECT generation FROM view_current) LOOP
    IF pg_try_advisory_xact_lock(7021437, v_other) THEN
      PERFORM flexcore.views_drop(v_other);
    END IF;
  END LOOP;
  INSERT INTO view_generation SELECT coalesce(max(number), 0) + 1 FROM view_generation
    RETURNING number INTO v_number;
  PERFORM pg_advisory_lock(7021437, v_number);

  EXECUTE format('CREATE TABLE flexcore.view_%s_projection (
    position bigint NOT NULL, epoch bigint NOT NULL, stopped_position bigint,
    name text COLLATE "C" PRIMARY KEY, hash bytea NOT NULL, stopped_reason text
  ) WITH (fillfactor = 50)', v_number);
  EXECUTE format('CREATE TABLE flexcore.view_%s_note (
    projection text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, value text NOT NULL,
    PRIMARY KEY (projection, key))', v_number);
  EXECUTE format('CREATE TABLE flexcore.view_%s_pipeline (
    id uuid PRIMARY KEY, created_at bigint NOT NULL, updated_at bigint NOT NULL,
    version bigint NOT NULL, steps bigint NOT NULL, name text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL, description text, owner text COLLATE "C",
    tags jsonb NOT NULL, search text COLLATE "C" NOT NULL)', v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_pipeline (name, id)', v_number);
  -- Each index serves one kind of list in its order, so that no list is sorted.
  EXECUTE format('CREATE TABLE flexcore.view_%s_execution (
    id uuid NOT NULL, pipeline_id uuid NOT NULL, created_at bigint NOT NULL, started_at bigint,
    ended_at bigint, version bigint NOT NULL, pipeline text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL, environment text COLLATE "C" NOT NULL,
    run_key text COLLATE "C", error text, PRIMARY KEY (id, created_at)
  ) PARTITION BY RANGE (created_at)', v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_execution (created_at, id)', v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_execution (pipeline, created_at, id)', v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_execution (status, created_at, id)', v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_execution (pipeline, status, created_at, id)',
    v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_execution (run_key, created_at, id)
    WHERE run_key IS NOT NULL', v_number);
  EXECUTE format('CREATE TABLE flexcore.view_%s_execution_other
    PARTITION OF flexcore.view_%s_execution DEFAULT', v_number, v_number);
  EXECUTE format('CREATE TABLE flexcore.view_%s_plugin (
    pipelines bigint NOT NULL, attempts bigint NOT NULL, failures bigint NOT NULL,
    last_used_at bigint, last_failed_at bigint, name text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL, last_error text, PRIMARY KEY (name, role))', v_number);
  EXECUTE format('CREATE TABLE flexcore.view_%s_data_stream (
    pipeline_id uuid NOT NULL, holder uuid, bookmark_execution uuid, sync_execution uuid,
    bookmark_positions bigint, bookmark_at bigint, syncs bigint NOT NULL, records bigint NOT NULL,
    bytes bigint NOT NULL, sync_started_at bigint, sync_ended_at bigint, sync_records bigint,
    sync_bytes bigint, stream text COLLATE "C" PRIMARY KEY, environment text COLLATE "C" NOT NULL,
    pipeline text COLLATE "C" NOT NULL, state text NOT NULL, item text, tap text, target text,
    bookmark_streams text, schemas text NOT NULL, sync_outcome text)', v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_data_stream (pipeline, stream)', v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_data_stream (environment, pipeline, stream)',
    v_number);
  EXECUTE format('CREATE TABLE flexcore.view_%s_metric (
    value bigint NOT NULL, updated_at bigint NOT NULL, name text COLLATE "C" NOT NULL,
    labels text COLLATE "C" NOT NULL, PRIMARY KEY (name, labels)
  ) WITH (fillfactor = 50)', v_number);

  -- Whoever may append may write views.
  FOREACH v_table IN ARRAY '{projection,note,pipeline,execution,plugin,data_stream,metric}'::text[] LOOP
    v_table := format('view_%s_%s', v_number, v_table);
    INSERT INTO app_table VALUES (v_table);
    FOR v_role IN SELECT DISTINCT r.rolname FROM pg_proc p, aclexplode(p.proacl) a
        JOIN pg_roles r ON r.oid = a.grantee
        WHERE p.proname = 'append_batch' AND p.pronamespace = 'flexcore'::regnamespace
          AND a.grantee <> p.proowner LOOP
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON flexcore.%I TO %I', v_table, v_role);
    END LOOP;
  END LOOP;
  RETURN v_number;
END $$;

-- Puts a generation in the place of the one in use; gives the number of the former one.
CREATE FUNCTION flexcore.views_publish(p_number int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp
SET lock_timeout = '5s' AS $$
DECLARE v_former int;
BEGIN
  PERFORM pg_advisory_xact_lock(7021438);
  SELECT generation INTO v_former FROM view_current;
  INSERT INTO view_current (generation) VALUES (p_number)
    ON CONFLICT (only_one) DO UPDATE SET generation = p_number;
  RETURN v_former;
END $$;

-- Creates the partition of executions for each month that one of these times is in, and for the two
-- months after the newest of them. Times far away stay in the partition of all others.
CREATE FUNCTION flexcore.views_ensure_months(p_number int, p_times bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp
SET lock_timeout = '5s' AS $$
DECLARE
  v_month timestamp; v_parent text := format('view_%s_execution', p_number);
  v_name text; v_first bigint; v_end bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(7021440, p_number);
  FOR v_month IN
    WITH month AS (
      SELECT DISTINCT date_trunc('month', to_timestamp(t / 1000000) AT TIME ZONE 'UTC') AS month
        FROM unnest(p_times) t WHERE t >= 0 AND t < 253370764800000000),
    ahead AS (SELECT max(month) AS newest FROM month)
    SELECT month FROM month
    UNION SELECT newest + make_interval(months => n) FROM ahead, generate_series(1, 2) n
      WHERE newest IS NOT NULL
    ORDER BY 1
  LOOP
    v_name := format('%s_%s', v_parent, to_char(v_month, 'YYYYMM'));
    CONTINUE WHEN to_regclass(format('flexcore.%I', v_name)) IS NOT NULL;
    v_first := extract(epoch FROM v_month)::bigint * 1000000;
    v_end := extract(epoch FROM v_month + interval '1 month')::bigint * 1000000;
    -- A table of its own first, then attached: readers wait for neither.
    EXECUTE format('CREATE TABLE flexcore.%I (LIKE flexcore.%I INCLUDING ALL)', v_name, v_parent);
    EXECUTE format('WITH moved AS (DELETE FROM flexcore.%I WHERE created_at >= %s AND created_at < %s
      RETURNING *) INSERT INTO flexcore.%I SELECT * FROM moved',
      v_parent || '_other', v_first, v_end, v_name);
    EXECUTE format('ALTER TABLE flexcore.%I ATTACH PARTITION flexcore.%I FOR VALUES FROM (%s) TO (%s)',
      v_parent, v_name, v_first, v_end);
  END LOOP;
END $$;

-- Removes executions that have ended and were created in a month that was over at a time: a month
-- whose executions all have ended goes as a table. Gives how many went. Tells the projections.
CREATE FUNCTION flexcore.views_remove_before(p_number int, p_time bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp
SET lock_timeout = '5s' AS $$
DECLARE
  v_parent text := format('view_%s_execution', p_number);
  v_ended text := $q$status IN ('completed', 'failed', 'cancelled')$q$;
  v_name name; v_end bigint; v_lives boolean; v_count bigint; v_removed bigint := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(7021440, p_number);
  EXECUTE format('INSERT INTO flexcore.view_%s_note AS n VALUES ('''', ''kept-from'', %L)
    ON CONFLICT (projection, key) DO UPDATE SET value = excluded.value
    WHERE excluded.value::bigint > n.value::bigint', p_number, p_time);
  FOR v_name IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = format('flexcore.%I', v_parent)::regclass ORDER BY 1 LOOP
    IF v_name = v_parent || '_other' THEN
      EXECUTE format('DELETE FROM flexcore.%I WHERE created_at < %s AND %s', v_name, p_time, v_ended);
      GET DIAGNOSTICS v_count = ROW_COUNT;
      v_removed := v_removed + v_count;
      CONTINUE;
    END IF;
    v_end := extract(epoch FROM to_date(right(v_name, 6), 'YYYYMM') + interval '1 month')::bigint
      * 1000000;
    CONTINUE WHEN v_end > p_time;
    EXECUTE format('SELECT count(*) FILTER (WHERE %s), count(*) FILTER (WHERE NOT %s) > 0 FROM flexcore.%I',
      v_ended, v_ended, v_name) INTO v_count, v_lives;
    IF v_lives THEN
      EXECUTE format('DELETE FROM flexcore.%I WHERE %s', v_name, v_ended);
    ELSE
      EXECUTE format('DROP TABLE flexcore.%I', v_name);
    END IF;
    v_removed := v_removed + v_count;
  END LOOP;
  RETURN v_removed;
END $$;

-- Where the projections of the views in use stand.
CREATE FUNCTION flexcore.views_checkpoints()
RETURNS TABLE (name text, "position" bigint, hash bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp AS $$
BEGIN
  RETURN QUERY EXECUTE format('SELECT name::text, position, hash FROM flexcore.view_%s_projection
    WHERE position > 0 ORDER BY 1', (SELECT generation FROM view_current));
END $$;

SELECT flexcore.views_publish(flexcore.views_create());
