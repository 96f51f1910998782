-- When the studies of a day were received: where a search for days begins.
CREATE INDEX study_by_day_received ON archive.study (study_day, first_receive_time);
