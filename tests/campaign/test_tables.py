"""The user's own tables: design.table and observations. Every mistake is one line naming file, row and column."""

import time

import pytest

from natal.campaign import plan, tables
from natal.campaign.design import make_design
from natal.errors import NatalError


@pytest.fixture
def table(tmp_path, config):
    """Write a design table and return the configuration that uses it."""

    def write(text, encoding="utf-8", calibration=0):
        path = tmp_path / "points.csv"
        path.write_text(text, encoding=encoding)
        config["design"] |= {"table": str(path), "calibration": calibration}
        return config

    return write


@pytest.fixture
def observations(tmp_path):
    """Write a table of observations and return its path."""

    def write(text, encoding="utf-8"):
        path = tmp_path / "clusters.csv"
        path.write_text(text, encoding=encoding)
        return str(path)

    return write


def test_a_table_replaces_the_hypercube(table):
    """Its rows are the points, in order, with their splits."""
    design = make_design(table("q0,a_au,split\n0.6,100,train\n1.2,150.5,test\n"))
    assert design.to_dict("list") == {
        "point_id": [0, 1],
        "block": ["table", "table"],
        "split": ["train", "test"],
        "q0": [0.6, 1.2],
        "a_au": [100.0, 150.5],
    }


def test_a_table_may_leave_splits_out(table):
    """Columns in any order; spaces, a byte-order mark and blank lines do no harm."""
    config = table("\ufeffa_au, q0\n100, 0.6\n\n 150.5,1.2\n")
    assert make_design(config)[["q0", "a_au"]].to_numpy().tolist() == [[0.6, 100.0], [1.2, 150.5]]
    assert not plan.has_splits(config)


def test_splits_of_a_table_are_noticed(table, config):
    """Training needs points in all three splits; a hypercube always has them."""
    rows = "q0,a_au,split\n0.6,100,train\n0.7,100,validation\n"
    assert plan.has_splits(config)
    assert not plan.has_splits(table(rows))
    assert plan.has_splits(table(rows + "0.8,100,test\n"))


def test_a_split_column_may_be_empty(table):
    """As in the design.csv of a campaign whose table has none."""
    config = table("q0,a_au,split\n0.6,100,\n0.7,100, \n")
    assert make_design(config).split.tolist() == ["", ""]


def test_a_table_follows_the_virial_convention(table):
    """With 2K/|W| a table's q0 = 1.2 is K/|W| = 0.6."""
    config = table("q0,a_au\n1.2,100\n")
    config["design"]["virial_convention"] = "2K/|W|"
    assert make_design(config).q0.tolist() == [0.6]


def test_a_design_file_is_a_valid_table(table, config):
    """The design.csv of one campaign serves as the table of another, which draws its own calibration points."""
    design = make_design(config)
    assert (design.split == "calibration").sum() == 4000
    again = make_design(table(design.to_csv(index=False)))
    columns = ["split", "q0", "a_au"]
    assert again[columns].equals(design[design.split != "calibration"][columns])
    config["seed"] += 1
    again = make_design(table(design.to_csv(index=False), calibration=30))
    assert again.point_id.tolist()[646:] == [646, 647, *range(300_000, 300_030)]
    assert not again[again.split == "calibration"].q0.isin(design.q0).any()


def test_shards_of_a_table_partition_its_rows(table):
    """Jobs of at most points_per_job rows; a recipe holds its own rows only."""
    config = table("q0,a_au\n" + "".join(f"0.7,{a}\n" for a in range(100, 105)))
    config["design"] |= {"points_per_job": 2, "realizations": 16}
    shards = plan.shards(config)
    assert [shard.point_ids for shard in shards.values()] == [[0, 1], [2, 3], [4]]
    assert plan.recipes(config)(shards["table_002"]) == [(0.7, 104.0)]


def test_rows_of_a_table_have_the_largest_number_of_realizations(table):
    """So that a row may change its split without being simulated again."""
    config = table("q0,a_au,split\n0.6,100,train\n0.7,110,test\n")
    config["design"]["realizations"] = {"train": 2, "validation": 3, "test": 8}
    (shard,) = plan.shards(config).values()
    assert shard.n_realizations == 8


def test_a_table_has_calibration_draws_beside_it(table):
    """The same as a hypercube has; the table's rows and shards are what they are without."""
    text = "q0,a_au\n0.6,100\n0.7,110\n"
    alone = table(text)
    rows, shards = make_design(alone), plan.shards(alone)
    config = table(text, calibration=40)
    design = make_design(config)
    assert design[design.split != "calibration"].reset_index(drop=True).equals(rows)
    assert design.block.value_counts().to_dict() == {"table": 2, "calibration0": 40}
    found = plan.shards(config)
    assert {name: found[name] for name in shards} == shards
    assert set(found) - set(shards) == {"calibration0_000"}
    config["design"]["table"] = None
    assert make_design(config)[lambda d: d.split == "calibration"].q0.tolist() == design.q0.tolist()[2:]


def test_a_table_of_nothing_but_calibration_draws_is_empty(table):
    """They do not count as rows."""
    with pytest.raises(NatalError, match=r"points.csv: 0 rows besides calibration draws, but 1 to 300000 are allowed"):
        plan.read_table(table("q0,a_au,split\n0.6,100,calibration\n"))


def test_rows_are_named_by_their_number_in_the_file(table):
    """Left-out rows count."""
    text = "q0,a_au,split\n0.6,100,calibration\n0.6,100,train\n0.7,100,\n"
    with pytest.raises(NatalError, match="row 3, column split: empty"):
        plan.read_table(table(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("q0,split\n0.6,train\n", ["column a_au is missing", "q0, a_au"]),
        ("q0,a_au,qo\n0.6,100,3\n", ["column qo is not known", "q0, a_au", "split"]),
        ("q0,a_au\n0.6,100\n0.7,hundred\n", ["row 2", "column a_au", "'hundred'", "number"]),
        ("q0,a_au\n,100\n", ["row 1", "column q0", "''", "number"]),
        ("q0,a_au\n0.6,1_00\n", ["row 1", "column a_au", "'1_00'", "number"]),
        ("q0,a_au\n0.6,nan\n", ["row 1", "column a_au", "'nan'", "finite"]),
        ("q0,a_au\n0.6,inf\n", ["row 1", "column a_au", "'inf'", "finite"]),
        ("q0,a_au\n0.6,100\n1.6,100\n", ["row 2", "column q0", "1.6", "design.box", "[0.5, 1.5]"]),
        ("q0,a_au\n0.6,49.9\n", ["row 1", "column a_au", "49.9", "design.box", "[50, 200]"]),
        ("q0,a_au,split\n0.6,100,training\n", ["row 1", "column split", "'training'", "train, validation, test"]),
        ("q0,a_au,split\n0.6,100,train\n\n0.7,100,\n0.8,100, \n", ["row 2", "column split", "empty", "other rows"]),
        ("q0,a_au,q0\n0.6,100,0.7\n", ["column q0", "2 times"]),
        (f"q0,a_au\n0.6,{'1' * 131_073}\n", ["field larger than field limit (131072)", "line 2"]),
        (f"{'q' * 131_073},a_au\n0.6,100\n", ["field larger than field limit (131072)", "line 1"]),
        ("q0,a_au\n0.6,100,3\n", ["row 1", "expected 2 values"]),
        ("q0,a_au\n0.6,100\n0.7\n", ["row 2", "expected 2 values"]),
        ("q0,a_au\n", ["no rows"]),
        ("", ["column q0 is missing"]),
    ],
)
def test_every_mistake_in_a_design_table_is_named(table, text, said):
    """File, row, column, the offending text and what is allowed, in one line."""
    config = table(text)
    with pytest.raises(NatalError) as caught:
        plan.read_table(config)
    message = str(caught.value)
    assert "\n" not in message
    for part in ["points.csv", *said]:
        assert part in message


def test_a_box_is_quoted_in_the_users_convention(table):
    """2K/|W| = 3.2 is out of [1, 3]; the message shows both as they were written."""
    config = table("q0,a_au\n3.2,100\n")
    config["design"] |= {"virial_convention": "2K/|W|", "box": {"q0": [1, 3], "a_au": [50, 200]}}
    with pytest.raises(NatalError, match=r"row 1, column q0: 3\.2 is outside design\.box \(\[1, 3\]\)"):
        plan.read_table(config)


def test_a_missing_file_is_named(config):
    """The key and the file name."""
    config["design"]["table"] = "nowhere/points.csv"
    with pytest.raises(NatalError, match=r"design\.table: .*nowhere/points\.csv"):
        plan.read_table(config)
    with pytest.raises(NatalError, match=r"observations: .*nowhere/clusters\.csv"):
        tables.read_observations("nowhere/clusters.csv")


@pytest.fixture
def proposed(tmp_path, config):
    """Write files of proposed points and return the configuration that uses them."""

    def write(*texts):
        paths = [tmp_path / f"proposed{k}.csv" for k in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        config["design"]["proposed"] = [str(path) for path in paths]
        return config

    return write


PROPOSED = "q0,a_au,score\n0.6,100,0.2\n1.2,150.5,0.1\n"


def test_proposed_points_are_training_points_and_move_no_others(proposed, config):
    """Ids from an offset of their own, a block a file; all other points, shards and recipes are what they were."""
    alone, shards = make_design(config), plan.shards(config)
    recipes = {name: plan.recipes(config)(shard) for name, shard in shards.items()}
    config = proposed(PROPOSED, "a_au,q0\n80,0.9\n")
    design = make_design(config)
    assert design.iloc[: len(alone)].equals(alone)
    assert design.iloc[len(alone) :].to_dict("list") == {
        "point_id": [600_000, 600_001, 600_002],
        "block": ["proposed0", "proposed0", "proposed1"],
        "split": ["train"] * 3,
        "q0": [0.6, 1.2, 0.9],
        "a_au": [100.0, 150.5, 80.0],
    }
    found = plan.shards(config)
    assert {name: found[name] for name in shards} == shards
    assert {name: plan.recipes(config)(found[name]) for name in shards} == recipes
    assert [found[name].point_ids for name in found if name not in shards] == [[600_000, 600_001], [600_002]]
    assert {found[f"proposed{k}_000"].n_realizations for k in (0, 1)} == {config["design"]["realizations"]["train"]}
    assert plan.recipes(config)(found["proposed0_000"]) == [(0.6, 100.0), (1.2, 150.5)]
    assert plan.recipes(config)(found["proposed1_000"]) == [(0.9, 80.0)]


def test_shards_of_proposed_points_hold_their_own_rows(proposed):
    """At most points_per_job of them; an edited row is another recipe of its own shard only."""
    rows = [f"0.7,{a}" for a in range(100, 105)]
    found = []
    for last in ("0.7,104", "0.8,104"):
        config = proposed("\n".join(["q0,a_au", *rows[:4], last]))
        config["design"] |= {"points_per_job": 2, "realizations": 16}
        shards = plan.shards(config)
        found.append({name: plan.recipes(config)(shards[name]) for name in shards if "proposed" in name})
    assert [len(recipe) for recipe in found[0].values()] == [2, 2, 1]
    assert [name for name in found[0] if found[0][name] != found[1][name]] == ["proposed0_002"]


def test_proposed_points_go_with_a_table(proposed, table):
    """Its rows stay where they are."""
    config = table("q0,a_au,split\n0.6,100,train\n1.2,150.5,test\n")
    shards = plan.shards(config)
    config = proposed(PROPOSED)
    assert make_design(config).point_id.tolist() == [0, 1, 600_000, 600_001]
    assert {name: plan.shards(config)[name] for name in shards} == shards


def test_proposed_points_follow_the_virial_convention(proposed):
    """With 2K/|W| a q0 of 1.2 is K/|W| = 0.6, in the design and in the recipe."""
    config = proposed("q0,a_au\n1.2,100\n")
    config["design"] |= {"virial_convention": "2K/|W|", "box": {"q0": [1, 3], "a_au": [50, 200]}}
    design = make_design(config)
    assert design[design.block == "proposed0"].q0.tolist() == [0.6]
    assert plan.recipes(config)(plan.shards(config)["proposed0_000"]) == [(0.6, 100.0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("q0,score\n0.6,1\n", ["column a_au is missing", "optional score"]),
        ("q0,a_au,split\n0.6,100,train\n", ["column split is not known"]),
        ("q0,a_au\n0.6,100\n0.7,hundred\n", ["row 2", "column a_au", "'hundred'", "finite"]),
        ("q0,a_au\n0.6,100\n1.6,100\n", ["row 2", "column q0", "1.6", "design.box", "[0.5, 1.5]"]),
        ("q0,a_au\n", ["no rows"]),
    ],
)
def test_every_mistake_in_proposed_points_is_named(proposed, text, said):
    """File, row and column, in one line; the file is the second of two."""
    with pytest.raises(NatalError) as caught:
        plan.proposed_blocks(proposed(PROPOSED, text))
    message = str(caught.value)
    assert "\n" not in message
    for part in ["proposed1.csv", *said]:
        assert part in message


def test_missing_and_too_many_proposed_points(proposed, config, monkeypatch):
    """The key, and the file or what is allowed."""
    monkeypatch.setattr(plan, "MAX_POINTS_PER_SPLIT", 3)
    with pytest.raises(NatalError, match=r"design\.proposed: more than 3 rows in all"):
        plan.proposed_blocks(proposed(PROPOSED, PROPOSED))
    config["design"]["proposed"] = ["nowhere/proposed0.csv"]
    with pytest.raises(NatalError, match=r"design\.proposed: .*nowhere/proposed0\.csv"):
        plan.proposed_blocks(config)


HEADER = "name,f_bound,sigma_v_kms,r_h_au"


def test_observations_are_read(observations):
    """Names and numbers; errors that are not given are zero."""
    path = observations(f"{HEADER},f_bound_err,r_h_au_err\nA,0.8,4.5,450,0.03,\nB,1,7,200,0.1,20\n")
    assert tables.read_observations(path) == [
        {"name": "A", "f_bound": 0.8, "sigma_v_kms": 4.5, "r_h_au": 450.0}
        | {"f_bound_err": 0.03, "sigma_v_kms_err": 0.0, "r_h_au_err": 0.0},
        {"name": "B", "f_bound": 1.0, "sigma_v_kms": 7.0, "r_h_au": 200.0}
        | {"f_bound_err": 0.1, "sigma_v_kms_err": 0.0, "r_h_au_err": 20.0},
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ends_of_lines_may_be_any_systems(observations, end):
    """An old Mac's as well; the last line may lack its own."""
    text = end.join([HEADER, "A,0.8,4.5,450", "B,0.9,4,400"])
    assert [row["name"] for row in tables.read_observations(observations(text))] == ["A", "B"]


def test_reading_takes_as_long_as_there_are_rows(observations):
    """10,000 clusters are read at every plan: a row may not look at all that came before."""

    def seconds(n):
        path = observations("\n".join([HEADER, *(f"cluster {k},0.8,4.5,450" for k in range(n))]))
        started = time.process_time()
        assert len(tables.read_observations(path)) == n
        return time.process_time() - started

    # twenty times as many rows; a quadratic search would take most of 400 times as long
    few, many = min(seconds(500) for _ in range(3)), seconds(10_000)
    assert many < 60 * few


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,f_bound,sigma_v_kms\nA,0.8,4.5\n", ["column r_h_au is missing", "sigma_v_kms_err"]),
        (f"{HEADER},sigma_err\nA,0.8,4.5,450,1\n", ["column sigma_err is not known", "sigma_v_kms_err"]),
        (f"{HEADER}\nA,0.8,4.5,450\nA,0.7,4.5,450\n", ["row 2", "column name", "'A'", "not unique"]),
        (f"{HEADER}\n,0.8,4.5,450\n", ["row 1", "column name", "empty"]),
        (f"{HEADER}\nA,80%,4.5,450\n", ["row 1", "column f_bound", "'80%'", "number"]),
        (f"{HEADER}\nA,80,4.5,450\n", ["row 1", "column f_bound", "80", "at most 1"]),
        (f"{HEADER}\nA,0,4.5,450\n", ["row 1", "column f_bound", "0", "above 0"]),
        (f"{HEADER}\nA,0.8,-4.5,450\n", ["row 1", "column sigma_v_kms", "-4.5", "above 0"]),
        (f"{HEADER}\nA,0.8,4.5,450\nB,0.8,4.5,0\n", ["row 2", "column r_h_au", "0", "above 0"]),
        (f"{HEADER},r_h_au_err\nA,0.8,4.5,450,-1\n", ["row 1", "column r_h_au_err", "-1", "negative"]),
        (f"{HEADER},r_h_au_err\nA,0.8,4.5,450,1e30\n", ["row 1", "column r_h_au_err", "1e30 must be at most 1e+15"]),
        (f"{HEADER}\nA,0.8,4.5,1e300\n", ["row 1", "column r_h_au", "1e300 must be at most 1e+15"]),
        (f"{HEADER}\nA,1e-320,4.5,450\n", ["row 1", "column f_bound", "1e-320 must be at least 1e-15"]),
        (f"{HEADER},r_h_au_err\nA,0.8,4.5,450,?\n", ["row 1", "column r_h_au_err", "'?'", "number"]),
        (f"{HEADER},f_bound\nA,0.8,4.5,450,0.9\n", ["column f_bound", "2 times"]),
        (f"{HEADER}\n{'A' * 131_073},0.8,4.5,450\n", ["field larger than field limit (131072)", "line 2"]),
        (f"{HEADER}\nA,0.8,4.5\n", ["row 1", "expected 4 values"]),
        (f"{HEADER}\nA,0.8,4.5,1_450\n", ["row 1", "column r_h_au", "'1_450'", "number"]),
        (f'{HEADER}\n"Orion\nA",0.8,4.5,450\n', ["row 1", "column name", r"'Orion\nA'", "line break"]),
        (f'{HEADER}\n"Orion\r\nA",0.8,4.5,450\n', ["row 1", "column name", r"'Orion\r\nA'", "line break"]),
        (f"{HEADER}\nOrion\u2028A,0.8,4.5,450\n", ["row 1", "column name", r"'Orion\u2028A'", "line break"]),
        (f"{HEADER}\nOrion\0A,0.8,4.5,450\n", ["row 1", "column name", r"'Orion\x00A'", "control character"]),
        (f"# {HEADER}\nA,0.8,4.5,450\n", ["column name is missing", f"the header is '# {HEADER}'"]),
        (f"# my clusters\n{HEADER}\nA,0.8,4.5,450\n", ["separated by commas", "the header is '# my clusters'"]),
        (f"{HEADER.upper()}\nA,0.8,4.5,450\n", ["column name is missing", f"the header is '{HEADER.upper()}'"]),
        (f"{HEADER.replace(',', ' ')}\nA 0.8 4.5 450\n", ["separated by commas", "name f_bound sigma_v_kms r_h_au"]),
        (f"{HEADER},\nA,0.8,4.5,450,\n", ["column '' is not known"]),
        (f"{HEADER}\n", ["no rows"]),
    ],
)
def test_every_mistake_in_the_observations_is_named(observations, text, said):
    """File, row, column, the offending text and what is allowed, in one line."""
    path = observations(text)
    with pytest.raises(NatalError) as caught:
        tables.read_observations(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in ["clusters.csv", *said]:
        assert part in message


def test_a_table_in_another_encoding_is_refused_by_name(observations):
    """A spreadsheet's Latin-1 export with an accent is no UTF-8: one line, not a traceback."""
    with pytest.raises(NatalError, match=r"clusters\.csv.*UTF-8"):
        tables.read_observations(observations(f"{HEADER}\nPléiades,0.8,4.5,450\n", encoding="latin-1"))
