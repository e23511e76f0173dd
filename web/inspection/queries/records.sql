-- Returns one row per environment of the store: newest observation, deployed build, newest backup and newest
-- verified one, unfinished job, newest finished job that could have changed it.
-- Runs on the store with its runtime role. Parameters project and environment: null for all.
SELECT e.id AS environment_id, e.project, e.name, e.system_identifier, e.database_oid,
       o.id AS observation_id, s.observed_at, o.first_observed_at, o.reachable, o.error, o.server_version,
       o.database, o.host, o.version_table, o.revisions, o.fingerprint, o.expected_fingerprint,
       o.drift_state, o.drift_reason, o.drift_count, o.source_digest,
       EXISTS (SELECT FROM ignore_rule r
                WHERE r.project = e.project AND (r.environment IS NULL OR r.environment = e.name)
                  AND r.removed_at IS NULL AND r.expires_at > now()) AS has_rules,
       b.number AS build_number, b.commit AS build_commit, b.recorded_at AS build_recorded_at,
       k.created_at AS backup_created_at, k.state AS backup_state, v.created_at AS verified_created_at,
       v.id AS verified_id,
       j.id AS job_id, j.kind AS job_kind, j.state AS job_state, j.step AS job_step, j.done AS job_done,
       j.total AS job_total, j.unit AS job_unit,
       c.id AS change_id, c.kind AS change_kind, c.state AS change_state, c.finished_at AS change_finished_at,
       c.outcome ->> 'title' AS change_title
  FROM environment e
  LEFT JOIN environment_state s ON s.environment_id = e.id
  LEFT JOIN observation o ON o.id = s.observation_id
  LEFT JOIN LATERAL (
        SELECT build.number, build.commit, d.recorded_at
          FROM deployment d
          JOIN build ON build.id = d.build_id
         WHERE d.environment_id = e.id
         ORDER BY d.id DESC
         LIMIT 1) b ON true
  LEFT JOIN LATERAL (
        SELECT created_at, state
          FROM backup
         WHERE environment_id = e.id AND state <> 'removed'
         ORDER BY created_at DESC
         LIMIT 1) k ON true
  LEFT JOIN LATERAL (
        SELECT id, created_at
          FROM backup
         WHERE environment_id = e.id AND state = 'verified'
           -- Of the database that is pinned now, not of one before it.
           AND coalesce(manifest ->> 'identity' = e.system_identifier || '/' || e.database_oid, true)
         ORDER BY created_at DESC
         LIMIT 1) v ON true
  LEFT JOIN LATERAL (
        SELECT id, kind, state, step, done, total, unit
          FROM job
         WHERE environment_id = e.id AND state IN ('queued', 'running', 'cancelling', 'interrupted')
         ORDER BY mutating DESC, id DESC
         LIMIT 1) j ON true
  LEFT JOIN LATERAL (
        SELECT id, kind, state, finished_at, outcome
          FROM job
         WHERE environment_id = e.id AND mutating
           AND state NOT IN ('queued', 'running', 'cancelling', 'interrupted')
         ORDER BY id DESC
         LIMIT 1) c ON true
 WHERE (CAST(:project AS text) IS NULL OR e.project = :project)
   AND (CAST(:environment AS text) IS NULL OR e.name = :environment)
