//! A SIP client in a browser (as JsSIP and SIP.js are): its sound comes over ICE and DTLS-SRTP, its
//! calls by SIP. Chromium makes the connection; the signalling is written by hand.

use std::time::Duration;

use serde_json::json;

use crate::harness::raw_sip::{RawSip, authorization, header, status, to_tag};
use crate::harness::{Baresip, Chromium, Fakes, Server, wait};

const HEARD_WITHIN: Duration = Duration::from_secs(15);

const CLIENT_HZ: f64 = 440.0;
const PHONE_HZ: f64 = 620.0;

/// A connection with a microphone, whose sound is played; its offer, with candidates.
const OFFER: &str = "(async () => {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const pc = (window.sipConnection = new RTCPeerConnection());
    pc.addTrack(stream.getAudioTracks()[0], stream);
    pc.ontrack = ({ track }) => {
        const player = document.createElement('audio');
        player.srcObject = new MediaStream([track]);
        document.body.append(player);
        player.play();
    };
    await pc.setLocalDescription(await pc.createOffer());
    while (pc.iceGatheringState !== 'complete') {
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return pc.localDescription.sdp;
})()";

#[test]
fn a_sip_client_in_a_browser_and_a_desk_phone_hear_each_other() {
    let server = Server::start();
    let chromium = Chromium::start();
    let mut desk = Baresip::start(&server, PHONE_HZ);
    desk.call();

    let page = chromium.open("Softphone", &server.card.join_url, Fakes::tone(CLIENT_HZ));
    let offer = page.evaluate(OFFER);
    let offer = offer.as_str().expect("an offer");
    let raw = RawSip::new(&server);
    let call = raw.new_call(&server);
    let challenge = raw.challenge(&call, "challenge");
    let card = &server.card;
    let credentials = authorization(
        &challenge,
        "INVITE",
        &call.uri,
        &card.sip_username,
        &card.sip_password,
    );
    let contact = format!("Contact: <sip:raw@{}>\r\n", raw.local());
    let more = format!("{contact}{credentials}Content-Type: application/sdp\r\n");
    raw.send(raw.request("INVITE", &call, 2, "invite", "", &more, offer));
    let answer = raw.final_response("INVITE");
    assert_eq!(status(&answer), 200, "{answer}");
    let tag = to_tag(&answer);
    raw.send(raw.request("ACK", &call, 2, "ack", &tag, "", ""));
    page.evaluate(&format!(
        "sipConnection.setRemoteDescription({{ type: 'answer', sdp: {} }})",
        json!(body(&answer))
    ));
    page.wait("sipConnection.connectionState === 'connected'");

    let heard = page.wait_to_hear(&[PHONE_HZ], HEARD_WITHIN);
    assert!(heard.lacks_tone(CLIENT_HZ));
    let heard = desk.wait_to_hear(&[CLIENT_HZ], HEARD_WITHIN);
    assert!(heard.lacks_tone(PHONE_HZ));

    // Hold and resume, as such clients do it: the same connection, another direction.
    for (cseq, ours, theirs) in [(3, "sendonly", "recvonly"), (4, "sendrecv", "sendrecv")] {
        let offer = offer.replace("a=sendrecv", &format!("a={ours}"));
        let more = format!("{contact}Content-Type: application/sdp\r\n");
        let branch = format!("again-{cseq}");
        raw.send(raw.request("INVITE", &call, cseq, &branch, &tag, &more, &offer));
        let answer = raw.final_response("INVITE");
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(answer.contains(&format!("a={theirs}\r\n")), "{answer}");
        let ack = format!("ack-{cseq}");
        raw.send(raw.request("ACK", &call, cseq, &ack, &tag, "", ""));
        wait::until("the hold to be heard", HEARD_WITHIN, || {
            desk.heard(1000).lacks_tone(CLIENT_HZ) == (ours == "sendonly")
        });
    }
    page.wait_to_hear(&[PHONE_HZ], HEARD_WITHIN);

    raw.send(raw.request("BYE", &call, 5, "bye", &tag, &contact, ""));
    assert_eq!(status(&raw.final_response("BYE")), 200);
    wait::until("one participant left", HEARD_WITHIN, || {
        server.participants().len() == 1
    });
    assert_eq!(
        header(&answer, "Content-Type").as_deref(),
        Some("application/sdp")
    );
}

fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}
