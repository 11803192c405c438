-- Leases: who may try to drive what, decided by the clock of this server. A logged table: after a
-- crash of the server a token must not be handed out twice. Rows are never deleted for the same
-- reason; a lease that was given back has run out.
CREATE TABLE flexcore.lease (
  token bigint NOT NULL,
  expires_at timestamptz NOT NULL,
  -- A process, fresh for each; and the state folder that it works in, which has one live process at
  -- a time.
  owner uuid NOT NULL,
  node uuid NOT NULL,
  -- The node for people.
  label text NOT NULL,
  name text COLLATE "C" PRIMARY KEY
) WITH (fillfactor = 50);

-- Takes a lease that is free, has run out, or belongs to a process of the same node, which cannot be
-- alive any more; or renews one that is the caller's. The token grows with each change of owner, and
-- when a lease is taken anew that had run out or was given back.
CREATE FUNCTION flexcore.lease_acquire(
  p_name text, p_owner uuid, p_node uuid, p_label text, p_ttl interval,
  OUT granted boolean, OUT token bigint, OUT label text, OUT expires_in interval
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp AS $$
BEGIN
  INSERT INTO lease AS l VALUES (1, clock_timestamp() + p_ttl, p_owner, p_node, p_label, p_name)
    ON CONFLICT (name) DO UPDATE
      SET token = l.token + (l.owner <> p_owner OR l.expires_at <= clock_timestamp())::int,
          expires_at = clock_timestamp() + p_ttl,
          owner = p_owner, node = p_node, label = p_label
      WHERE l.owner = p_owner OR l.node = p_node OR l.expires_at <= clock_timestamp()
    RETURNING l.token INTO token;
  granted := FOUND;
  IF NOT granted THEN
    SELECT l.token, l.label, l.expires_at - clock_timestamp() INTO token, label, expires_in
      FROM lease l WHERE l.name = p_name;
  END IF;
END $$;

-- Gives a lease back, if it is still the caller's.
CREATE FUNCTION flexcore.lease_release(p_name text, p_owner uuid, p_token bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, flexcore, pg_temp AS $$
  UPDATE lease SET expires_at = '-infinity'
    WHERE name = p_name AND owner = p_owner AND token = p_token;
$$;
