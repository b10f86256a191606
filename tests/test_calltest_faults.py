"""Twenty faults, each caught and named, and none invented where there is none.

Each fault bends a clean call on paper. What else may be said of it is exactly what follows from
it; a reason that does not is an invention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.bots.calltest import proof
from ringback.bots.calltest.observed import (
    STREAMS,
    Clocks,
    Direction,
    Ending,
    Observed,
    SeenPicture,
    SentPicture,
)
from ringback.bots.calltest.reasons import MEANING, Code
from tests.observations import (
    ANN,
    BEGAN,
    BOB,
    codes,
    direction,
    echo,
    measure,
    observed,
    verdict,
)

Bend = Callable[[], Observed]


def ways() -> tuple[Direction, Direction]:
    """Ann to Bob and Bob to Ann, clean."""
    return direction("ann", "bob", ANN), direction("bob", "ann", BOB, seed=1)


def swapped_tracks() -> Observed:
    there, back = ways()
    there.seen, back.seen = (
        [replace(seen, stream=BOB) for seen in there.seen],
        [replace(seen, stream=ANN) for seen in back.seen],
    )
    return observed(there, back)


def frozen_picture() -> Observed:
    there, back = ways()
    still = there.seen[30]
    there.seen[31:] = [
        replace(still, arrived=seen.arrived, shown=seen.shown) for seen in there.seen[31:]
    ]
    return observed(there, back)


def no_more_pictures() -> Observed:
    there, back = ways()
    del there.seen[40:]
    return observed(there, back)


def silent_microphone() -> Observed:
    there, back = ways()
    there.heard.clear()
    there.sounds = [replace(piece, level=-100.0) for piece in there.sounds]
    return observed(there, back)


def wrong_person() -> Observed:
    there, back = ways()
    there.seen = [replace(seen, stream=0x789) for seen in there.seen]
    return observed(there, back)


def one_in_a_hundred() -> Observed:
    there = direction(seconds=20.0)
    del there.seen[50], there.seen[150], there.seen[250]
    return observed(there, direction("bob", "ann", BOB, seconds=20.0), seconds=20.0)


def reordered() -> Observed:
    there, back = ways()
    first, second = there.seen[20], there.seen[21]
    there.seen[20:22] = [
        replace(second, arrived=first.arrived, shown=first.shown),
        replace(first, arrived=second.arrived, shown=second.shown),
    ]
    return observed(there, back)


def stale() -> Observed:
    there, back = ways()
    for place in (60, 40, 20):
        seen = there.seen[place]
        assert seen.sequence is not None
        assert seen.stamp is not None
        old = replace(seen, sequence=seen.sequence - 5, stamp=(seen.stamp - 30_000) % (1 << 16))
        there.seen.insert(place, old)
    return observed(there, back)


def late_sound() -> Observed:
    there, back = ways()
    there.heard = [replace(heard, at=heard.at + 0.2) for heard in there.heard]
    there.sounds = [replace(piece, arrived=piece.arrived + 0.2) for piece in there.sounds]
    return observed(there, back)


def half_size() -> Observed:
    there, back = ways()
    there.seen = [replace(seen, width=160, height=120) for seen in there.seen]
    return observed(there, back)


def dead(way: Direction) -> None:
    way.seen.clear()
    way.heard.clear()
    way.sounds.clear()
    way.samples = [replace(sample, packets=0, bytes=0) for sample in way.samples]


def dead_direction() -> Observed:
    there, back = ways()
    dead(back)
    return observed(there, back)


def mirrored() -> Observed:
    there, back = ways()
    for way, stream in ((there, BOB), (back, ANN)):
        way.seen = [replace(seen, stream=stream) for seen in way.seen]
        way.heard = [replace(heard, stream=stream % STREAMS) for heard in way.heard]
    return observed(there, back)


def echo_of_the_echo() -> Observed:
    call = echo()
    [way] = call.directions
    again = [replace(s, arrived=s.arrived + 0.15, shown=s.shown + 0.15) for s in way.seen]
    way.seen = sorted(way.seen + again, key=lambda seen: seen.shown)
    return call


def no_keyframes() -> Observed:
    there, back = ways()
    there.seen.clear()
    there.samples = [replace(sample, keyframes_asked=12) for sample in there.samples]
    return observed(there, back)


def clock_jump() -> Observed:
    there, back = ways()
    there.sent = [
        replace(sent, at=sent.at - 3 if sent.at > BEGAN + 2 else sent.at) for sent in there.sent
    ]
    there.seen = [
        replace(seen, stamp=((seen.stamp or 0) - 3000) % (1 << 16)) if number > 30 else seen
        for number, seen in enumerate(there.seen)
    ]
    return observed(there, back)


def clock_jump_in_the_stamps() -> Observed:
    there, back = ways()
    there.seen[35:] = [
        replace(seen, stamp=((seen.stamp or 0) + 4000) % (1 << 16)) for seen in there.seen[35:]
    ]
    return observed(there, back)


def receivers_clock_jump() -> Observed:
    there, back = ways()
    there.seen[35:] = [
        replace(seen, arrived=seen.arrived - 2, shown=seen.shown - 2) for seen in there.seen[35:]
    ]
    return observed(there, back)


def nothing_relayed() -> Observed:
    there, back = ways()
    dead(there)
    dead(back)
    return observed(there, back)


def never_rang() -> Observed:
    call = nothing_relayed()
    placed = [step for step in call.steps if step.name == "placed"]
    return replace(call, ending="never answered", steps=placed)


def turn_refuses() -> Observed:
    why = "192.0.2.1:3478 says: 401 Unauthorized. Let user and secret be those of the TURN server."
    return replace(nothing_relayed(), ending="no relay", reason=why, steps=[])


def wrong_codec() -> Observed:
    there, back = ways()
    there.wanted = {"video": "h264"}
    back.wanted = {"video": "h264"}
    return observed(there, back)


def one_way_sound() -> Observed:
    there, back = ways()
    back.heard.clear()
    back.sounds.clear()
    back.samples = [
        replace(s, packets=0, bytes=0) if s.kind == "audio" else s for s in back.samples
    ]
    return observed(there, back)


def duplicates() -> Observed:
    there, back = ways()
    for place in (60, 40, 20):
        there.seen.insert(place, there.seen[place - 1])
    return observed(there, back)


def truncated() -> Observed:
    there, back = ways()
    for place in (10, 20, 30, 40):
        there.seen[place] = replace(
            there.seen[place], stream=None, sequence=None, stamp=None, torn=place == 40
        )
    return observed(there, back)


def hung_up_early() -> Observed:
    there, back = direction(seconds=2.0), direction("bob", "ann", BOB, seconds=2.0)
    return observed(there, back, seconds=2.0, ending="ended early", reason="bob hung up")


FAULTS: list[tuple[Bend, list[str]]] = [
    (swapped_tracks, ["swapped_tracks"]),
    # The same picture again and again is told as that, and as what it is made of.
    (frozen_picture, ["frozen", "lost", "repeated", "too_few"]),
    (no_more_pictures, ["frozen", "lost"]),
    (silent_microphone, ["silent"]),
    (wrong_person, ["wrong_stream"]),
    (one_in_a_hundred, ["lost"]),
    (reordered, ["reordered"]),
    (stale, ["stale"]),
    (late_sound, ["late_sound"]),
    (half_size, ["half_size"]),
    (dead_direction, ["dead_direction"]),
    (mirrored, ["echoes_itself"]),
    (echo_of_the_echo, ["echoes_itself", "repeated"]),
    (no_keyframes, ["keyframes"]),
    (clock_jump, ["clock_jump"]),
    (clock_jump_in_the_stamps, ["clock_jump"]),
    (receivers_clock_jump, ["clock_jump"]),
    (nothing_relayed, ["nothing_relayed"]),
    (never_rang, ["nothing_relayed"]),
    (turn_refuses, ["relay_refused"]),
    (wrong_codec, ["codec"]),
    (one_way_sound, ["one_way_sound"]),
    (duplicates, ["repeated"]),
    (truncated, ["damaged"]),
    (hung_up_early, ["ended_early"]),
]


@pytest.mark.parametrize(("bend", "named"), FAULTS, ids=[bend.__name__ for bend, _ in FAULTS])
def test_a_fault_is_caught_and_nothing_is_invented(bend: Bend, named: list[str]) -> None:
    call = bend()
    judged = verdict(call)
    assert judged.state == "failed"
    assert judged.exit_code == 1
    assert codes(call) == named
    assert judged.sentence.startswith("Failed. ")


@pytest.mark.parametrize(("bend", "named"), FAULTS, ids=[bend.__name__ for bend, _ in FAULTS])
def test_the_other_direction_is_not_blamed(bend: Bend, named: list[str]) -> None:
    call = bend()
    if bend in (swapped_tracks, mirrored, wrong_codec):
        assert {r.direction for r in verdict(call).reasons} == {"ann to bob", "bob to ann"}
    else:
        bent = {r.direction for r in verdict(call).reasons}
        assert len(bent) == 1
        # The clean direction alone passes.
        clean = [d for d in call.directions if d.name not in bent and None not in bent]
        assert codes(replace(call, directions=clean, ending="hung up")) == [] or not clean


def test_every_sentence_has_a_number_or_a_name() -> None:
    for bend, _ in FAULTS:
        for reason in verdict(bend()).reasons:
            assert any(c.isdigit() for c in reason.sentence) or "bob" in reason.sentence, reason
            assert reason.sentence.endswith(".")


def test_every_code_has_a_meaning() -> None:
    assert set(MEANING) == set(Code)


# --- nothing is invented --------------------------------------------------------------------


def test_a_clean_call_passes() -> None:
    assert verdict(observed()).state == "passed"
    assert verdict(echo()).state == "passed"
    assert verdict(observed()).exit_code == 0


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    way=st.floats(0.011, 0.6),
    jitter=st.floats(0, 0.06),
    rate=st.sampled_from([7.5, 15.0, 30.0]),
    seconds=st.sampled_from([2.0, 3.0, 5.0]),
    first=st.sampled_from([0, 1000, 65_500]),
    offset=st.floats(-50_000, 50_000),
    kinds=st.sampled_from([("audio", "video"), ("audio",), ("video",)]),
)
def test_clean_calls_never_fail(
    seed: int,
    way: float,
    jitter: float,
    rate: float,
    seconds: float,
    first: int,
    offset: float,
    kinds: tuple[str, ...],
) -> None:
    there = direction(
        seed=seed,
        way=way,
        jitter=jitter,
        rate=rate,
        seconds=seconds,
        first=first,
        clocks=Clocks(offset, 0.002),
        kinds=kinds,  # type: ignore[arg-type]
    )
    judged = verdict(observed(there, seconds=seconds))
    assert judged.reasons == ()
    assert judged.state == "passed"


# --- too little is never a pass -------------------------------------------------------------


@pytest.mark.parametrize("kept", range(proof.LEAST_PICTURES))
def test_too_few_pictures_never_pass(kept: int) -> None:
    there = direction(kinds=("video",))
    del there.seen[kept:]
    # Not even if nobody minds what is lost and frozen.
    call = observed(there)
    judged = codes(call, "frames.loss > 100%", "freezes.still > 60s")
    assert judged == (["too_few"] if kept else ["no_picture"])


@settings(max_examples=50, deadline=None)
@given(kept=st.sets(st.integers(0, 74)))
def test_half_of_what_was_due_is_the_least(kept: set[int]) -> None:
    there = direction(kinds=("video",))
    there.seen = [seen for number, seen in enumerate(there.seen) if number in kept]
    judged = verdict(observed(there), "frames.loss > 100%", "freezes.still > 60s")
    assert (judged.state == "passed") == proof.pictures_proved(measure(observed(there))[0])
    if len(kept) < 30:
        assert judged.state == "failed"


def test_a_call_without_a_single_mark_never_passes() -> None:
    silent = observed(direction())
    silent.directions[0].seen = [
        replace(seen, stream=None, sequence=None, stamp=None) for seen in silent.directions[0].seen
    ]
    assert codes(silent)[:1] == ["no_picture"]
    nothing = observed(Direction("ann", "bob", ANN, ("audio", "video"), 15, (320, 240)))
    assert codes(nothing) == ["nothing_relayed"]


def test_sounds_alone_do_not_prove_a_picture() -> None:
    there = direction()
    there.seen.clear()
    assert codes(observed(there)) == ["no_picture"]


# --- no verdict -----------------------------------------------------------------------------


def test_a_busy_machine_gives_no_verdict() -> None:
    for call in (observed(lag=0.7), replace(frozen_picture(), lag=0.7)):
        judged = verdict(call)
        assert (judged.state, judged.exit_code) == ("unproven", 2)
        assert judged.codes == (Code.LAGGED,)
        assert "700 ms" in judged.sentence
    assert verdict(observed(lag=0.5)).state == "passed"


def test_who_was_slow_to_code_or_decode_accuses_nobody() -> None:
    for bend in (frozen_picture, one_in_a_hundred, no_keyframes):
        judged = verdict(replace(bend(), slow=0.7))
        assert (judged.state, judged.codes) == ("unproven", (Code.LAGGED,))
        assert "700 ms for one picture" in judged.sentence
        assert verdict(replace(bend(), slow=0.5)).state == "failed"
    # What was identified was identified; and how a call ended has nothing to do with it.
    assert verdict(observed(slow=9.0)).state == "passed"
    assert codes(replace(never_rang(), slow=9.0)) == ["nothing_relayed"]
    assert codes(replace(frozen_picture(), slow=9.0, ending="ended early")) == ["ended_early"]


def test_a_test_that_could_not_run_gives_no_verdict() -> None:
    call = replace(observed(), directions=[], reason="there is no camera")
    assert verdict(call).codes == (Code.NOT_RUN,)
    assert "there is no camera" in verdict(call).sentence


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("never answered", "never_answered"),
        ("never connected", "never_connected"),
        ("failed", "broke_off"),
    ],
)
def test_how_it_ended_is_a_reason(ending: Ending, code: str) -> None:
    assert codes(replace(observed(), ending=ending)) == [code]


def unanswered(call: Observed, reason: str = "bob could not.") -> Observed:
    steps = [step for step in call.steps if step.name in ("placed", "ringing")]
    return replace(call, ending="never connected", reason=reason, steps=steps)


def test_who_takes_nothing_of_what_is_offered_could_not_answer() -> None:
    assert codes(unanswered(observed())) == ["never_connected"]
    assert "The call to bob did not come about (bob could not.)." in str(
        verdict(unanswered(observed())).sentence
    )
    mixed = unanswered(wrong_codec())
    mixed.directions[1].wanted = {"video": "vp8"}
    judged = verdict(mixed)
    assert judged.codes == (Code.CODEC,)
    assert "ann takes h264 alone, bob vp8, so bob could not answer" in judged.sentence


def test_a_relay_that_is_not_there_is_said_before_all_else() -> None:
    judged = verdict(replace(turn_refuses(), reason="192.0.2.1:3478 says: 401 Wrong."))
    assert judged.codes == (Code.RELAY_REFUSED,)
    assert judged.sentence == (
        "Failed. Only a relay was allowed, and there was none: 192.0.2.1:3478 says: 401 Wrong."
    )


def test_a_kind_that_nobody_took_is_a_matter_of_codecs() -> None:
    rejected = echo()
    [way] = rejected.directions
    way.seen.clear()
    way.samples = [sample for sample in way.samples if sample.kind == "audio"]
    way.wanted, way.codecs = {"video": "H264"}, {"audio": "opus"}
    judged = verdict(rejected)
    assert judged.codes == (Code.CODEC,)
    assert "h264 was asked for, but no codec of pictures was agreed on." in judged.sentence


def test_a_kind_that_goes_one_way_only_is_no_matter_of_codecs() -> None:
    there, back = ways()
    back.heard.clear()
    back.sounds.clear()
    back.samples = [sample for sample in back.samples if sample.kind == "video"]
    there.wanted = back.wanted = {"audio": "opus"}
    back.codecs = {"video": "VP8"}
    assert codes(observed(there, back)) == ["one_way_sound"]


# --- with a network made worse --------------------------------------------------------------


def test_a_lossy_network_is_allowed_its_losses() -> None:
    there = direction()
    there.seen = [seen for number, seen in enumerate(there.seen) if number % 8]
    assert codes(observed(there)) == ["lost"]
    assert codes(observed(there, network="lossy")) == []
    assert codes(observed(there, network="lossy"), "frames.loss > 5%") == ["threshold"]


def made(sequence: int, at: float) -> tuple[SentPicture, SeenPicture]:
    return SentPicture(sequence, at), SeenPicture(
        at, at, ANN, sequence, round(1000 * at) % (1 << 16), 320, 240
    )


def test_a_sender_that_pauses_has_no_broken_clock() -> None:
    there = direction(kinds=("video",))
    for place in range(30, 75):
        there.sent[place], there.seen[place] = made(place, BEGAN + place / 15 + 0.8)
    assert "clock_jump" not in codes(observed(there, seconds=6.0))


def test_a_way_that_gets_longer_is_no_broken_clock() -> None:
    there = direction(kinds=("video",))
    there.seen[40:] = [
        replace(seen, shown=seen.shown + 0.9, arrived=seen.arrived + 0.9)
        for seen in there.seen[40:]
    ]
    assert codes(observed(there, seconds=6.0)) == []
