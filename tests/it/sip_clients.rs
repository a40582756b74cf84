//! INVITEs as phones and carriers send them, after descriptions of their traces: each becomes a
//! call, is answered in its own words, acknowledged and hung up.

use ringbridge::sip::endpoint::{EndpointConfig, Event};
use ringbridge::sip::flow::Transport;

use super::sip_support::{MEETING, SDP, Seen, World, config};

/// One client's INVITE, and what is to be made of it.
struct Client {
    name: &'static str,
    transport: Transport,
    /// Request-URI; `M` is the meeting.
    uri: &'static str,
    /// Headers from Via to the last of its own; `M` likewise.
    headers: &'static str,
    body: &'static str,
    /// User part of what was dialled.
    user: &'static str,
    caller: Option<&'static str>,
    session_expires: Option<&'static str>,
}

const CLIENTS: &[Client] = &[
    Client {
        name: "Twilio over TLS, two record routes",
        transport: Transport::Tls,
        uri: "sip:M@gw.test;transport=tls",
        headers: "Record-Route: <sip:54.172.60.0:5061;transport=tls;r2=on;lr>\r\n\
                  Record-Route: <sip:54.172.60.0;r2=on;lr;twnat=sip:1.2.3.4:5060>\r\n\
                  Via: SIP/2.0/TLS 54.172.60.0:5061;branch=z9hG4bKa\r\n\
                  Via: SIP/2.0/UDP 172.25.1.2:5060;rport=5060;received=172.25.1.2;branch=z9hG4bKb\r\n\
                  To: <sip:M@gw.test>\r\n\
                  From: \"+14155550100\" <sip:+14155550100@acme.pstn.test>;tag=31945052_6772_a-b\r\n\
                  Call-ID: 0123456789abcdef0123456789abcdef@0.0.0.0\r\nCSeq: 2 INVITE\r\n\
                  Contact: <sip:+14155550100@172.25.1.2:5060;transport=udp>\r\nMin-SE: 120\r\n\
                  Allow: INVITE,ACK,CANCEL,OPTIONS,BYE,REFER,NOTIFY\r\nPrivacy: id\r\n",
        body: SDP,
        user: "M",
        caller: Some("+14155550100"),
        session_expires: None,
    },
    Client {
        name: "Zoiper 5",
        transport: Transport::Udp,
        uri: "sip:M@gw.test;transport=UDP",
        headers: "Via: SIP/2.0/UDP 192.168.1.7:51446;branch=z9hG4bK-524287-1---a1b2;rport\r\n\
                  Max-Forwards: 70\r\nContact: <sip:ann@192.168.1.7:51446;transport=UDP>\r\n\
                  To: <sip:M@gw.test;transport=UDP>\r\n\
                  From: <sip:ann@gw.test;transport=UDP>;tag=c0ffee\r\nCall-ID: zoiper..\r\n\
                  CSeq: 2 INVITE\r\nAllow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE\r\n\
                  Supported: replaces, norefersub, extended-refer, timer, sec-agree, outbound, \
                  path, X-cisco-serviceuri\r\nUser-Agent: Z 5.6.4 v2.10.20.4\r\n",
        body: SDP,
        user: "M",
        caller: Some("ann"),
        session_expires: None,
    },
    Client {
        name: "MicroSIP",
        transport: Transport::Tcp,
        uri: "sip:M@gw.test",
        headers: "Via: SIP/2.0/TCP 10.0.0.2:51000;rport;branch=z9hG4bKPj1;alias\r\n\
                  Max-Forwards: 70\r\nFrom: \"Ann\" <sip:ann@gw.test>;tag=pj\r\n\
                  To: <sip:M@gw.test>\r\nContact: <sip:ann@10.0.0.2:51000;transport=TCP;ob>\r\n\
                  Call-ID: pj-1\r\nCSeq: 7 INVITE\r\nSupported: replaces, 100rel, timer, norefersub\r\n\
                  Session-Expires: 1800\r\nMin-SE: 90\r\nUser-Agent: MicroSIP/3.21.3\r\n",
        body: SDP,
        user: "M",
        caller: Some("ann"),
        session_expires: Some("1800;refresher=uac"),
    },
    Client {
        name: "Linphone, To without brackets",
        transport: Transport::Udp,
        uri: "sip:M@gw.test",
        headers: "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK.lin;rport\r\n\
                  From: <sip:ann@gw.test>;tag=lin~1\r\nTo: sip:M@gw.test\r\nCSeq: 20 INVITE\r\n\
                  Call-ID: lin-1\r\nMax-Forwards: 70\r\n\
                  Supported: replaces, outbound, gruu, path, record-aware\r\n\
                  Contact: <sip:ann@10.0.0.2;transport=udp>;+org.linphone.specs=\"lime,ephemeral\";\
                  +sip.instance=\"<urn:uuid:1>\"\r\n",
        body: SDP,
        user: "M",
        caller: Some("ann"),
        session_expires: None,
    },
    Client {
        name: "a desk phone with two Supported and user=phone",
        transport: Transport::Udp,
        uri: "sip:M@gw.test;user=phone",
        headers: "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKdesk\r\n\
                  From: \"Desk\" <sip:200@gw.test;user=phone>;tag=00aa\r\n\
                  To: <sip:M@gw.test;user=phone>\r\nCall-ID: desk-1\r\nCSeq: 101 INVITE\r\n\
                  Date: Sat, 21 Nov 2026 06:00:00 GMT\r\nContact: <sip:200@10.0.0.2:5060>\r\n\
                  Supported: replaces,join\r\nSupported: 100rel,timer\r\n\
                  Session-Expires: 1800;refresher=uas\r\n\
                  Remote-Party-ID: \"Desk\" <sip:200@gw.test>;party=calling;id-type=subscriber\r\n",
        body: SDP,
        user: "M",
        caller: Some("200"),
        session_expires: Some("1800;refresher=uas"),
    },
    Client {
        name: "Telnyx, compact",
        transport: Transport::Udp,
        uri: "sip:+15550100@gw.test",
        headers: "v: SIP/2.0/UDP 192.76.120.10;branch=z9hG4bKtelnyx\r\n\
                  f: \"A\" <sip:+14155550100@192.76.120.10>;tag=t\r\nt: <sip:+15550100@gw.test>\r\n\
                  i: telnyx-1\r\nCSeq: 1 INVITE\r\nm: <sip:192.76.120.10>\r\nk: timer\r\n\
                  P-Asserted-Identity: <sip:+14155550199@x;verstat=TN-Validation-Passed-B>\r\n",
        body: SDP,
        user: "+15550100",
        caller: Some("+14155550199"),
        session_expires: None,
    },
    Client {
        name: "Bandwidth, verstat within the user part",
        transport: Transport::Udp,
        uri: "sip:+15550100;npdi@gw.test:5060",
        headers: "Via: SIP/2.0/UDP 67.231.2.12:5060;branch=z9hG4bKbw\r\n\
                  From: <sip:+13335550100;verstat=TN-Validation-Passed@67.231.2.12>;tag=b\r\n\
                  To: <sip:+15550100@gw.test>\r\nCall-ID: bw-1\r\nCSeq: 8817 INVITE\r\n\
                  Contact: <sip:+13335550100@67.231.2.12:5060>\r\n",
        body: SDP,
        user: "+15550100",
        caller: Some("+13335550100"),
        session_expires: None,
    },
    Client {
        name: "a softswitch that dials tel:",
        transport: Transport::Udp,
        uri: "tel:+34911000000;phone-context=example.test",
        headers: "Via: SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bKzte\r\n\
                  From: <tel:+34600000000>;tag=zte\r\nTo: <tel:+34911000000>\r\n\
                  Call-ID: zte-1\r\nCSeq: 1 INVITE\r\nContact: <sip:198.51.100.9:5060>\r\n\
                  Session-Expires: 1800;refresher=uac\r\nSupported: timer\r\n\
                  P-Asserted-Identity: <tel:+34600000000>\r\n",
        body: SDP,
        user: "+34911000000",
        caller: Some("+34600000000"),
        session_expires: Some("1800;refresher=uac"),
    },
    Client {
        name: "CUCM without an offer",
        transport: Transport::Tcp,
        uri: "sip:M@gw.test",
        headers: "Via: SIP/2.0/TCP 10.1.1.1:5060;branch=z9hG4bKcucm\r\n\
                  From: <sip:300@10.1.1.1>;tag=1~2-3\r\nTo: <sip:M@gw.test>\r\n\
                  Call-ID: cucm-1\r\nCSeq: 101 INVITE\r\nSupported: timer,resource-priority\r\n\
                  Supported: X-cisco-srtp-fallback\r\nMin-SE: 1800\r\n\
                  Session-Expires: 1800\r\nContact: <sip:300@10.1.1.1:5060;transport=tcp>\r\n",
        body: "",
        user: "M",
        caller: Some("300"),
        session_expires: Some("1800;refresher=uac"),
    },
    Client {
        name: "a carrier whose Contact has a token for a user",
        transport: Transport::Tcp,
        uri: "sip:M@gw.test",
        headers: "Via: SIP/2.0/TCP 217.0.0.1:5060;branch=z9hG4bKdt\r\n\
                  From: <sip:+4930000000@telekom.test>;tag=h7g4Esbg_p65542t\r\n\
                  To: <sip:M@gw.test>\r\nCall-ID: p65542@217\r\nCSeq: 1 INVITE\r\n\
                  Contact: <sip:sgc_c@217.0.0.1;transport=tcp>;+g.3gpp.icsi-ref=\"urn%3Aurn-7\"\r\n\
                  Record-Route: <sip:3Zqkv7%0B@217.0.0.1;transport=tcp;lr>, \
                  <sip:AbC+d/e=@217.0.0.2;lr>\r\nMin-SE: 900\r\nSupported: histinfo, timer\r\n\
                  Session-Expires: 1800;refresher=uac\r\n\
                  P-Called-Party-ID: <sip:M@gw.test>\r\n",
        body: SDP,
        user: "M",
        caller: Some("+4930000000"),
        session_expires: Some("1800;refresher=uac"),
    },
];

/// Everybody comes in by address: digest has tests of its own.
fn trunk() -> EndpointConfig {
    EndpointConfig {
        trunk: Box::new(|_| Some("trunk".to_owned())),
        ..config()
    }
}

impl Client {
    fn meeting(text: &str) -> String {
        text.replace("sip:M@", &format!("sip:{MEETING}@"))
    }

    /// A request with the INVITE's own headers, as far as they belong in every request.
    fn request(&self, method: &str, cseq: u32, to: &str, body: &str) -> String {
        let is_invite = method == "INVITE";
        let headers: String = Self::meeting(self.headers)
            .split_inclusive("\r\n")
            .filter_map(|line| {
                let name = line.split(':').next().unwrap_or_default();
                match name {
                    "CSeq" => Some(format!("CSeq: {cseq} {method}\r\n")),
                    "To" | "t" if !is_invite => Some(format!("To: {to}\r\n")),
                    "Via" | "v" if !is_invite => {
                        Some(line.replace("z9hG4bK", &format!("z9hG4bK{method}")))
                    }
                    "Session-Expires" | "Record-Route" if !is_invite => None,
                    _ => Some(line.to_owned()),
                }
            })
            .collect();
        let content_type = match body.is_empty() {
            true => "",
            false => "Content-Type: application/sdp\r\n",
        };
        format!(
            "{method} {} SIP/2.0\r\n{headers}{content_type}Content-Length: {}\r\n\r\n{body}",
            Self::meeting(self.uri),
            body.len()
        )
    }

    fn cseq(&self) -> u32 {
        let line = self.headers.lines().find(|line| line.starts_with("CSeq"));
        let number = line.and_then(|line| line.split(' ').nth(1));
        number.and_then(|number| number.parse().ok()).unwrap()
    }

    /// Lines of a header as sent, lists apart.
    fn sent(&self, long: &str) -> Vec<String> {
        let headers = Self::meeting(self.headers);
        let values = headers.lines().filter_map(|line| line.split_once(": "));
        values
            .filter(|(name, _)| name.eq_ignore_ascii_case(long))
            .flat_map(|(_, value)| {
                value
                    .split(", ")
                    .map(|one| one.trim().to_owned())
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

#[test]
fn each_clients_call_is_taken_answered_acknowledged_and_hung_up() {
    for client in CLIENTS {
        let name = client.name;
        let mut world = World::with_config(client.transport, trunk());
        let cseq = client.cseq();
        world.feed(client.request("INVITE", cseq, "", client.body));
        assert_eq!(world.next().status(), 100, "{name}");
        let Event::Invite(invite) = world.next_event() else {
            panic!("{name}: no call");
        };
        let user = client.user.replace('M', MEETING);
        assert_eq!(invite.request_uri.user(), Some(user.as_str()), "{name}");
        assert_eq!(invite.caller.user.as_deref(), client.caller, "{name}");
        assert_eq!(invite.offer.is_some(), !client.body.is_empty(), "{name}");
        world
            .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
            .unwrap();
        let ok = world.next();
        assert_eq!(ok.status(), 200, "{name}");
        assert_eq!(
            ok.header("Session-Expires"),
            client.session_expires,
            "{name}"
        );
        assert_eq!(
            ok.headers("Record-Route"),
            client.sent("Record-Route"),
            "{name}"
        );
        let vias = client.sent("Via").len().max(1);
        assert_eq!(ok.headers("Via").len(), vias, "{name}");
        let to = ok.header("To").unwrap().to_owned();
        world.feed(client.request("ACK", cseq, &to, ""));
        assert!(matches!(world.next_event(), Event::Acked { .. }), "{name}");
        world.feed(client.request("BYE", cseq + 1, &to, ""));
        assert_eq!(world.next().status(), 200, "{name}");
        assert!(matches!(world.next_event(), Event::Bye { .. }), "{name}");
        world.advance_ms(40_000);
        let counters = world.endpoint.counters();
        assert_eq!((counters.dialogs, counters.transactions), (0, 0), "{name}");
    }
}

/// Our own BYE in an established call of this client.
fn our_bye(client: &Client, mid_dialog: impl FnOnce(&mut World, &Seen)) -> Seen {
    let mut world = World::with_config(client.transport, trunk());
    world.feed(client.request("INVITE", client.cseq(), "", client.body));
    let Event::Invite(invite) = world.next_event() else {
        panic!("no call");
    };
    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
        .unwrap();
    let ok = world.sent.pop_back().unwrap();
    let to = ok.header("To").unwrap().to_owned();
    world.feed(client.request("ACK", client.cseq(), &to, ""));
    mid_dialog(&mut world, &ok);
    world.sent.clear();
    world
        .command(|endpoint, now| endpoint.bye(now, invite.dialog, None))
        .unwrap();
    world.next()
}

#[test]
fn our_bye_names_their_contact_and_goes_along_their_whole_route() {
    for client in CLIENTS {
        let bye = our_bye(client, |_, _| {});
        let contact = client
            .sent("Contact")
            .into_iter()
            .chain(client.sent("m"))
            .next();
        let contact = contact.unwrap();
        let target = contact.trim_start_matches('<').split('>').next().unwrap();
        assert_eq!(
            bye.start(),
            format!("BYE {target} SIP/2.0"),
            "{}",
            client.name
        );
        assert_eq!(
            bye.headers("Route"),
            client.sent("Record-Route"),
            "{}",
            client.name
        );
    }
}

#[test]
fn a_route_in_a_later_request_is_not_the_calls() {
    let twilio = &CLIENTS[0];
    let bye = our_bye(twilio, |world, ok| {
        let to = ok.header("To").unwrap();
        let again = twilio.request("INVITE", twilio.cseq() + 1, to, SDP);
        let hint = "Record-Route: <sip:9.9.9.9;lr;twnat=sip:5.6.7.8:5060>\r\nVia:";
        world.feed(again.replacen("Via:", hint, 1));
    });
    assert_eq!(bye.headers("Route"), twilio.sent("Record-Route"));
}
