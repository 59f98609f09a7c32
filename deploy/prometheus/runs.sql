/* The newest committed run in Prometheus' text format, one line a row, for node_exporter's textfile collector:
     tagger query root=... --format csv "$(cat deploy/prometheus/runs.sql)" | tail -n +2
   It rests on the table alone, so that it also tells of nights on which no cluster came up. */
WITH newest AS (SELECT * FROM runs ORDER BY finished_at DESC LIMIT 1)
SELECT 'tagger_runs_newest_finished_timestamp_seconds ' || epoch(finished_at)::BIGINT AS line FROM newest
UNION ALL SELECT 'tagger_runs_newest_new ' || "new" FROM newest
UNION ALL SELECT 'tagger_runs_newest_tagged ' || tagged FROM newest
UNION ALL SELECT 'tagger_runs_newest_rejected ' || rejected FROM newest
UNION ALL SELECT 'tagger_runs_newest_flagged ' || flagged FROM newest
