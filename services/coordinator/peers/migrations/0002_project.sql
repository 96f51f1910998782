-- De-identification project whose released copies go to a peer outside.
ALTER TABLE peers.peer ADD COLUMN deid_project_id uuid;
