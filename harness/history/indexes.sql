-- Made when the rows are there: filling a table without an index is faster.
CREATE INDEX results_of_series ON results (series, scenario, run);
CREATE INDEX results_of_run ON results (run);
