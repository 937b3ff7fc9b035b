"""What a job for own clusters asks for goes with their number."""

from natal.posterior.cost import memory_mb, runtime_min


def test_one_cluster_asks_for_little():
    """Less than test clusters, who are hundreds, and enough to compile."""
    assert 2000 < memory_mb(1, 2000) < 5000
    assert 10 < runtime_min(1) < 30


def test_what_is_asked_for_goes_with_the_number_of_clusters():
    """More than was measured: 1.4 GB for 636 clusters, 9 minutes for 1000; neither flat nor more than in proportion."""
    assert memory_mb(636, 2000) > 2 * 1400
    assert runtime_min(1000) > 3 * 9
    for ask in (lambda n: memory_mb(n, 2000), runtime_min):
        assert 10 * ask(1000) > ask(10_000) > 1.5 * ask(1000) > 1.5 * ask(1)
