-- Views whose rows belong to tenants: names repeat from one tenant to another, and lists are asked for
-- one tenant. A new generation takes the place of the one in use; the projections
-- fill it from the log.

-- Creates an empty generation and gives its number. This session holds it until it ends. Generations
-- that nobody holds and nobody uses are removed.
CREATE OR REPLACE FUNCTION flexcore.views_create() RETURNS int
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
    version bigint NOT NULL, steps bigint NOT NULL, tenant text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL, status text COLLATE "C" NOT NULL, description text, owner text COLLATE "C",
    tags jsonb NOT NULL, search text COLLATE "C" NOT NULL)', v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_pipeline (tenant, name, id)', v_number);
  -- Each index serves one kind of list of a tenant in its order, so that no list is sorted and none
  -- looks at another tenant's rows. The last one is for whoever drives executions.
  EXECUTE format('CREATE TABLE flexcore.view_%s_execution (
    id uuid NOT NULL, pipeline_id uuid NOT NULL, created_at bigint NOT NULL, started_at bigint,
    ended_at bigint, version bigint NOT NULL, tenant text COLLATE "C" NOT NULL,
    pipeline text COLLATE "C" NOT NULL, status text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL, run_key text COLLATE "C", error text, PRIMARY KEY (id, created_at)
  ) PARTITION BY RANGE (created_at)', v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_execution (tenant, created_at, id)', v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_execution (tenant, pipeline, created_at, id)',
    v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_execution (tenant, status, created_at, id)',
    v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_execution
    (tenant, pipeline, status, created_at, id)', v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_execution (tenant, run_key, created_at, id)
    WHERE run_key IS NOT NULL', v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_execution (created_at, id)
    WHERE status IN (''queued'', ''running'')', v_number);
  EXECUTE format('CREATE TABLE flexcore.view_%s_execution_other
    PARTITION OF flexcore.view_%s_execution DEFAULT', v_number, v_number);
  EXECUTE format('CREATE TABLE flexcore.view_%s_plugin (
    pipelines bigint NOT NULL, attempts bigint NOT NULL, failures bigint NOT NULL,
    last_used_at bigint, last_failed_at bigint, tenant text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL, role text COLLATE "C" NOT NULL, last_error text,
    PRIMARY KEY (tenant, name, role))', v_number);
  EXECUTE format('CREATE TABLE flexcore.view_%s_data_stream (
    pipeline_id uuid NOT NULL, holder uuid, bookmark_execution uuid, sync_execution uuid,
    bookmark_positions bigint, bookmark_at bigint, syncs bigint NOT NULL, records bigint NOT NULL,
    bytes bigint NOT NULL, sync_started_at bigint, sync_ended_at bigint, sync_records bigint,
    sync_bytes bigint, stream text COLLATE "C" PRIMARY KEY, tenant text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL, pipeline text COLLATE "C" NOT NULL, state text NOT NULL, item text, tap text, target text,
    bookmark_streams text, schemas text NOT NULL, sync_outcome text)', v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_data_stream (tenant, pipeline, stream)', v_number);
  EXECUTE format('CREATE INDEX ON flexcore.view_%s_data_stream
    (tenant, environment, pipeline, stream)', v_number);
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

DROP FUNCTION flexcore.views_remove_before(int, bigint);

-- Removes executions that have ended and were created in a month that was over at a time: a month
-- whose executions all have ended goes as a table. Those of some pipelines are kept. Gives how many
-- went. Tells the projections.
CREATE FUNCTION flexcore.views_remove_before(p_number int, p_time bigint, p_kept uuid[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp
SET lock_timeout = '5s' AS $$
DECLARE
  v_parent text := format('view_%s_execution', p_number);
  v_ended text := format($q$(status IN ('completed', 'failed', 'cancelled')
    AND NOT pipeline_id = ANY (%L::uuid[]))$q$, p_kept);
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

-- Removes the executions of one pipeline that have ended and were created before a time. Gives how
-- many went. Tells the projections.
CREATE FUNCTION flexcore.views_remove_of_pipeline(p_number int, p_time bigint, p_tenant text,
  p_name text, p_pipeline uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp
SET lock_timeout = '5s' AS $$
DECLARE v_removed bigint;
BEGIN
  EXECUTE format('INSERT INTO flexcore.view_%s_note AS n VALUES ('''', ''kept-from'', %L)
    ON CONFLICT (projection, key) DO UPDATE SET value = excluded.value
    WHERE excluded.value::bigint > n.value::bigint', p_number, p_time);
  EXECUTE format('DELETE FROM flexcore.view_%s_execution WHERE tenant = $1 AND pipeline = $2
    AND pipeline_id = $3 AND created_at < $4
    AND status IN (''completed'', ''failed'', ''cancelled'')', p_number)
    USING p_tenant, p_name, p_pipeline, p_time;
  GET DIAGNOSTICS v_removed = ROW_COUNT;
  RETURN v_removed;
END $$;

-- Whoever may call the functions of views may call the new ones.
DO $$
DECLARE v_role name; v_function text;
BEGIN
  FOR v_role IN SELECT DISTINCT r.rolname FROM pg_proc p, aclexplode(p.proacl) a
      JOIN pg_roles r ON r.oid = a.grantee
      WHERE p.proname = 'append_batch' AND p.pronamespace = 'flexcore'::regnamespace
        AND a.grantee <> p.proowner LOOP
    FOREACH v_function IN ARRAY '{"views_remove_before(int, bigint, uuid[])",
        "views_remove_of_pipeline(int, bigint, text, text, uuid)"}'::text[] LOOP
      EXECUTE format('GRANT EXECUTE ON FUNCTION flexcore.%s TO %I', v_function, v_role);
    END LOOP;
  END LOOP;
END $$;

-- The former generation goes, unless somebody reads it just now: then the next rebuild removes it.
DO $$
DECLARE v_former int := flexcore.views_publish(flexcore.views_create());
BEGIN
  PERFORM flexcore.views_drop(v_former);
EXCEPTION WHEN lock_not_available THEN
  RAISE NOTICE 'views % are still read', v_former;
END $$;
