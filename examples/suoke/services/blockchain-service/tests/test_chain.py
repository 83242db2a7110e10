from dataclasses import replace

import pytest

from blockchain.chain import GENESIS, Chain

DIGEST = "ab" * 32


@pytest.fixture
def chain():
    chain = Chain()
    for _ in range(3):
        chain.append(DIGEST, "1.10")
    return chain


def test_a_chain_begins_with_its_genesis():
    assert Chain()[0] is GENESIS


def test_each_block_seals_the_one_before(chain):
    assert chain[2].previous == chain[1].seal
    assert chain.first_broken() is None


def test_a_change_is_found_at_the_next_block(chain):
    chain.replace(1, replace(chain[1], digest="cd" * 32))
    assert chain.first_broken() == 2


def test_heights_count_up(chain):
    assert [chain[height].height for height in range(len(chain))] == [0, 1, 2, 3]


@pytest.mark.parametrize("digest", ["", "ab", "zz" * 32, "AB" * 32])
def test_only_digests_are_kept(chain, digest):
    with pytest.raises(ValueError, match="SHA-256"):
        chain.append(digest, "1.10")
