// A client without our SDK, for the tests of the SFU: raw WebSocket, raw RTCPeerConnection.
// Defines `window.e2ePlain(token, {width, height})`; without a size it only watches.
window.e2ePlain = async (token, size) => {
  const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/v2/signal`);
  const say = (message) => socket.send(JSON.stringify(message));
  const client = { pc, say, joined: null, errors: [], tracks: [], offers: 0 };
  let turn = Promise.resolve();
  // What nobody listens to is not decoded.
  pc.ontrack = ({ track }) => {
    if (track.kind === 'audio') Object.assign(new Audio(), { srcObject: new MediaStream([track]) }).play();
  };
  await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
  const joined = new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === 'joined') resolve(message);
      if (message.type === 'error') client.errors.push(message);
      if (message.type === 'quality') client.quality = message;
      turn = turn.then(async () => {
        if (message.type === 'answer') await pc.setRemoteDescription(message);
        if (message.type === 'offer') {
          await pc.setRemoteDescription({ type: 'offer', sdp: message.sdp });
          await pc.setLocalDescription(await pc.createAnswer());
          say({ type: 'answer', sdp: pc.localDescription.sdp });
          client.tracks = message.tracks;
          client.offers += 1;
        }
      });
    };
  });
  say({ type: 'join', token });
  client.joined = await joined;
  client.id = client.joined.participant.id;
  client.channel = pc.createDataChannel('ringbridge');
  const sources = [];
  if (size) {
    const [track] = moving(size);
    const camera = pc.addTransceiver(track, {
      direction: 'sendonly',
      sendEncodings: [
        { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
        { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 450_000 },
        { rid: 'f', maxBitrate: 1_000_000 },
      ],
    });
    const voice = pc.addTransceiver(tone(), { direction: 'sendonly' });
    await pc.setLocalDescription(await pc.createOffer());
    sources.push({ mid: camera.mid, source: 'camera' }, { mid: voice.mid, source: 'microphone' });
  } else {
    pc.addTransceiver('audio', { direction: 'sendonly' });
    pc.addTransceiver('video', { direction: 'sendonly' });
    await pc.setLocalDescription(await pc.createOffer());
  }
  say({ type: 'offer', sdp: pc.localDescription.sdp, sources });
  // What is received of somebody's source: the report of its stream.
  const received = async (participant, source) => {
    const mid = client.tracks.find((t) => t.participant_id === participant && t.source === source)?.mid;
    for (const report of (await pc.getStats()).values()) {
      if (report.type === 'inbound-rtp' && mid !== undefined && report.mid === mid) return report;
    }
    return null;
  };
  client.video = (participant) => received(participant, 'camera');
  client.audio = (participant) => received(participant, 'microphone');
  window.e2eClient = client;
  return client.id;

  function tone() {
    const context = new AudioContext();
    const oscillator = context.createOscillator();
    const destination = context.createMediaStreamDestination();
    oscillator.connect(destination);
    oscillator.start();
    return destination.stream.getAudioTracks()[0];
  }

  function moving({ width, height }) {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const brush = canvas.getContext('2d');
    let count = 0;
    setInterval(() => {
      count += 1;
      for (let x = 0; x < width; x += 40) {
        for (let y = 0; y < height; y += 40) {
          brush.fillStyle = `hsl(${(x * 7 + y * 13 + count * 11) % 360} 80% 50%)`;
          brush.fillRect(x, y, 40, 40);
        }
      }
    }, 100);
    return canvas.captureStream(10).getVideoTracks();
  }
};
