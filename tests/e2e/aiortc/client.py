"""A WHIP publisher or WHEP player that nobody here wrote, for the Rust tests.

    client.py publish URL TOKEN HZ     plays a tone and sends a picture
    client.py play URL TOKEN FILE      writes what it hears to FILE, mono 16 bit, 48 kHz

Says one JSON object per line when something happens; leaves when its stdin ends.
"""

import asyncio
import fractions
import json
import math
import sys

import aiohttp
import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

RATE_HZ = 48_000
FRAME_SAMPLES = 960


def say(**facts):
    print(json.dumps(facts), flush=True)


class Tone(MediaStreamTrack):
    kind = "audio"

    def __init__(self, hz):
        super().__init__()
        self.hz = hz
        self.at = 0
        self.began = None

    async def recv(self):
        loop = asyncio.get_running_loop()
        self.began = self.began or loop.time()
        await asyncio.sleep(max(0, self.began + self.at / RATE_HZ - loop.time()))
        frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME_SAMPLES)
        step = 2 * math.pi * self.hz / RATE_HZ
        samples = bytearray()
        for index in range(self.at, self.at + FRAME_SAMPLES):
            samples += int(10_000 * math.sin(step * index)).to_bytes(2, "little", signed=True)
        frame.planes[0].update(bytes(samples))
        frame.pts, frame.sample_rate = self.at, RATE_HZ
        frame.time_base = fractions.Fraction(1, RATE_HZ)
        self.at += FRAME_SAMPLES
        return frame


class Picture(MediaStreamTrack):
    kind = "video"

    def __init__(self):
        super().__init__()
        self.count = 0

    async def recv(self):
        await asyncio.sleep(1 / 15)
        frame = av.VideoFrame(width=320, height=240, format="yuv420p")
        # A green one: luma, then the two colour differences.
        for plane, value in zip(frame.planes, (110, 90, 60)):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = self.count * 6_000, fractions.Fraction(1, 90_000)
        self.count += 1
        return frame


async def listen(track, path):
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    with open(path, "wb") as file:
        while True:
            for frame in resampler.resample(await track.recv()):
                file.write(bytes(frame.planes[0])[: frame.samples * 2])
                file.flush()


async def watch(track):
    frame = await track.recv()
    say(event="picture", width=frame.width, height=frame.height)
    while True:
        await track.recv()


async def main(role, url, token, extra):
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    tasks = []
    if role == "publish":
        pc.addTrack(Tone(float(extra)))
        pc.addTrack(Picture())
    else:
        pc.addTransceiver("audio", direction="recvonly")
        pc.addTransceiver("video", direction="recvonly")

        @pc.on("track")
        def on_track(track):
            hear = listen(track, extra) if track.kind == "audio" else watch(track)
            tasks.append(asyncio.ensure_future(hear))

    @pc.on("connectionstatechange")
    def on_state():
        say(event="state", state=pc.connectionState)

    await pc.setLocalDescription(await pc.createOffer())
    bearer = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=bearer, trust_env=False) as http:
        offer = pc.localDescription.sdp
        kind = {"Content-Type": "application/sdp"}
        async with http.post(url, data=offer, headers=kind) as reply:
            answer = await reply.text()
            if reply.status != 201:
                say(event="refused", status=reply.status, body=answer)
                return
            location = str(reply.url.join(reply.url.with_path(reply.headers["Location"])))
            say(event="answered", location=location, etag=reply.headers["ETag"])
        await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        async with http.delete(location) as reply:
            say(event="left", status=reply.status)
    for task in tasks:
        task.cancel()
    await pc.close()


asyncio.run(main(*sys.argv[1:]))
