-- Returns one row per environment of the store: newest observation, deployed build, newest backup and newest
-- verified one, unfinished job, newest finished job that could have changed it, the newest one that ended on its
-- database after the last look began, and what jobs left in doubt there.
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
       j.id AS job_id, j.kind AS job_kind, j.observes AS job_observes, j.state AS job_state, j.step AS job_step, j.done AS job_done,
       j.total AS job_total, j.unit AS job_unit,
       c.id AS change_id, c.kind AS change_kind, c.state AS change_state, c.finished_at AS change_finished_at,
       c.outcome ->> 'title' AS change_title,
       u.id AS unseen_id, u.kind AS unseen_kind, u.state AS unseen_state, u.finished_at AS unseen_finished_at,
       (SELECT jsonb_agg(jsonb_build_array(d.job_id, j.kind, d.sort, d.what, d.opened_at, d.by_check)
                         ORDER BY d.job_id)
          FROM doubt d
          JOIN job_target t ON t.job_id = d.job_id
                           AND t.system_identifier = e.system_identifier AND t.database_oid = e.database_oid
          JOIN job j ON j.id = d.job_id
         WHERE d.settled_at IS NULL) AS doubts
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
        SELECT id, kind, observes, state, step, done, total, unit
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
  LEFT JOIN LATERAL (
        SELECT job.id, job.kind, job.state, job.finished_at
          FROM job_target t
          JOIN job ON job.id = t.job_id
         WHERE t.system_identifier = e.system_identifier AND t.database_oid = e.database_oid
           AND NOT t.unfinished AND job.started_at IS NOT NULL
         ORDER BY t.job_id DESC
         LIMIT 1) u ON u.id > coalesce(s.seen_job, 0)
 WHERE (CAST(:project AS text) IS NULL OR e.project = :project)
   AND (CAST(:environment AS text) IS NULL OR e.name = :environment)
