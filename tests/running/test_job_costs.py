"""What Snakemake's benchmark files say of a stage."""

import pytest

from natal.running.job_costs import campaign_costs, stage_costs

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def record(seconds, memory, processor):
    """One line of a benchmark file."""
    return f"{seconds}\t0:00:01\t{memory}\t1\t1\t1\t0\t0\t90\t{processor}\n"


def test_jobs_of_a_stage_are_added_up(tmp_path):
    """Seconds over all jobs, the longest, the memory of the largest; a repeated job counts with its last run."""
    (tmp_path / "a.tsv").write_text(HEADER + record(10.0, 500.0, 18.0))
    (tmp_path / "b.tsv").write_text(HEADER + record(99.0, 99.0, 99.0) + record(20.5, 1000.0, 30.0))
    (row,) = stage_costs({"simulate": [tmp_path / "a.tsv", tmp_path / "b.tsv"]})
    assert row == {
        "stage": "simulate",
        "jobs": 2,
        "wall_s": 30.5,
        "starting_s": None,
        "longest_s": 20.5,
        "memory_gb": pytest.approx(1.048576),
    }


def test_what_was_not_measured_is_none(tmp_path):
    """Jobs that end too soon have no memory; others of the stage may."""
    (tmp_path / "short.tsv").write_text(HEADER + record(0.4, "NA", "-"))
    (tmp_path / "long.tsv").write_text(HEADER + record(2.0, 100.0, 3.0))
    (row,) = stage_costs({"train": [tmp_path / "short.tsv"]})
    assert (row["wall_s"], row["memory_gb"]) == (0.4, None)
    (row,) = stage_costs({"train": [tmp_path / "short.tsv", tmp_path / "long.tsv"]})
    assert (row["jobs"], row["wall_s"]) == (2, 2.4)


@pytest.mark.parametrize("content", [None, "", HEADER, "nothing of the kind\n1\n", b"\xff\xfe\x00"])
def test_a_lost_or_torn_record_leaves_the_stage_out(tmp_path, content):
    """Records are no results: without them there is one row less."""
    if isinstance(content, bytes):
        (tmp_path / "x.tsv").write_bytes(content)
    elif content is not None:
        (tmp_path / "x.tsv").write_text(content)
    assert stage_costs({"train": [tmp_path / "x.tsv"], "none": []}) == []


def test_what_a_campaign_took_and_on_what(tmp_path):
    """Two jobs side by side and one a minute later: wall time has no gap and counts nothing twice."""
    for name, seconds, worked, ended in (
        ("simulate", 10.0, 8.0, "12:00:10"),
        ("train", 6.0, 3.0, "12:00:12"),
        ("recover", 4.0, 3.0, "12:01:30"),
    ):
        (tmp_path / f"{name}.benchmark.tsv").write_text(HEADER + record(seconds, 500.0, 1.0))
        log = f"2026-01-01 {ended} INFO done\n2026-01-01 {ended} INFO worked for {worked:.2f} s\n"
        (tmp_path / f"{name}.log").write_text(log)
    files = {name: [tmp_path / f"{name}.benchmark.tsv"] for name in ("simulate", "train", "recover", "evaluate")}
    found = campaign_costs(files)
    assert (found["jobs"], found["job_s"], found["wall_s"]) == (3, 20.0, 16.0)
    expected = {"simulating": 0.4, "fitting": 0.15, "inferring": 0.15, "starting": 0.3}
    assert found["shares"] == pytest.approx(expected)
    assert [row["starting_s"] for row in stage_costs(files)] == [2.0, 3.0, 1.0]
    assert campaign_costs({"train": [tmp_path / "none.tsv"]}) == {"jobs": 0, "job_s": 0.0, "wall_s": 0.0, "shares": {}}
