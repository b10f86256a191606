"""The words around the numbers in `docs/bench.md`."""

from __future__ import annotations

INTRODUCTION = """\
# What a message and a call cost

Written by `make bench`. It starts the servers as processes of their own on this machine, loads
them over loopback from other processes, and reads how much processor time they used. Ratios are
the result: all sides ran in turns within one run. Absolute numbers differ from machine to
machine, and from hour to hour on a shared one.
"""

LIMITS = """\
## What limits it

The floor is the least that Python can do with a packet, around it no call at all
([bench/floor.py](../bench/floor.py)), with the cipher that calls agree on.

**Echo.** A loop that blocks in `recvfrom`, opens the packet with pylibsrtp, seals it, sends it.
What an echo call costs above it is the event loop's wake-up for each burst of packets, the look
at the header, and the exchange of the sources. Of the floor itself most is the two system calls
and the wake-up, which finds the processor's caches cold. With many calls a wake-up serves several
packets, so that a call among many costs less than one alone.

**Recording.** A loop that sleeps for as long as the sockets of recordings rest, takes all that
waits, opens it, and writes it once a second as it is. Sleeping is what makes both cheaper than a
server that is woken by each packet. What a recording costs above the floor is what makes the file
playable at once: order, frames, retransmission, reports to the sender, clocks, clusters.
"""

METHOD = """\
## How it is measured

**Chat.** `ringback serve --no-bots --limits off` with its history in SQLite, beside a room in
plain aiohttp that serialises each message once, sends it to each socket and stores nothing
([bench/plain.py](../bench/plain.py)). Raw sockets in one room all speak in turn, at 10,000
deliveries a second; everybody hears everything, and messages have the same form and size on
both sides. A run in which any socket missed a message or heard one twice fails; so does one
after which the database does not hold all of them.

**Calls.** The process of the bots that `ringback serve` starts, beside Janus (a gateway in C)
with its plugins echotest and recordplay, and beside aiortc used as its examples use it, decoding
and encoding ([bench/codecs.py](../bench/codecs.py)). Callers send one clip, encoded before:
640x480 VP8 at 30 pictures a second and about 1 Mbit/s, and Opus, with the reports that go with
it. ICE, DTLS and SRTP are those of any call. Every packet that comes back is opened and counted
([bench/caller.py](../bench/caller.py)); the load generator says how much processor it used
itself, and a run in which it had too little fails.

**Voicemail.** Sound alone, recorded for two and a half seconds, played back, recorded anew, and
so on. Janus beside it only records: its plugin has no such conversation and plays nothing back,
so there is no ratio.

**Lost.** For echoes packets, from the first to the last one sent; for aiortc, which makes new
packets, pictures. For recordings pictures, counted in the files afterwards. Janus writes packets
to a file that must be converted before it can be played; Ringback's and aiortc's files play as
they are.

**Call tests.** Peers of `ringback check --between`, at 320x240 and 15 pictures a second, VP8 of
300 kbit/s and Opus; both ways are judged. **Offer to proof**: from the moment the offer leaves
until five pictures and one sound of the right identity were decoded on both sides. With Chromium
the time counts from before its process starts. **Peers of one core**: one process bound to one
core, the exchange to the others; their number grows until less than 99 of 100 pictures are seen or
95 of 100 take longer than the next one is away (67 ms). With shared encoding the pictures of all
who call are coded once, and once those of all who are called, as by `--calls`
([bench/peers.py](../bench/peers.py)). **False alarms**: `ringback check --between --for 800ms
--calls 2 --repeat 100`.

**Memory.** What the process alone holds (USS) with one call, and with more, before it has served
any others. **Set-up.** Calls made and ended one after the other, without media. **There and
back.** From the moment a caller sends a sound to the moment it has it back, opened: both ways
through the kernel, and the caller's own part, are in it. **As many as fit.** The server is bound
to one core, the load generator to the others; the number of calls grows in a few steps until
something is lost, or the load generator cannot make more.

All of it takes some 20 minutes. `make bench ARGS=--quick` gives a first idea in about two,
`ARGS="--only chat"` (or `echo`, `record`, `voicemail`, `check`) one part; neither writes this file.
"""
