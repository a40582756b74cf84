# Two stages: build from the locked dependencies, then only what runs. The RUN steps are the
# scripts that people use; scripts/image-check runs the same steps in an empty Debian root.
#
#   docker build -t ringbridge .
#   docker run --network host -v ringbridge-data:/data ringbridge
#
# Host networking is advised: 10,000 published UDP ports are 10,000 forwarding rules, and behind
# Docker's NAT the addresses of phones are lost. Without it, publish the ports below and say
# --public-address.

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY scripts scripts
RUN scripts/setup build
COPY Cargo.toml Cargo.lock build.rs ./
COPY sip-profiles sip-profiles
COPY web web
COPY src src
# The manifest names it; it is not built.
COPY benches benches
RUN scripts/build

FROM debian:bookworm-slim
COPY scripts/setup scripts/lib.sh /opt/ringbridge/scripts/
RUN /opt/ringbridge/scripts/setup run && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /data --create-home ringbridge
COPY --from=build /src/target/release/ringbridge /usr/local/bin/ringbridge

USER 10001
WORKDIR /data
VOLUME /data
ENV RINGBRIDGE_DATA=/data

# SIP, plain and TLS; join page and API, plain and TLS; metrics (bound to loopback unless told
# otherwise).
EXPOSE 5060/udp 5060/tcp 5061/tcp 8080/tcp 8443/tcp 9090/tcp
# Towards browsers, one port a worker; phones' RTP, two ports a call.
EXPOSE 7882-7897/udp 10000-19999/udp

HEALTHCHECK --interval=15s --timeout=3s --start-period=20s \
  CMD curl --fail --silent --show-error --max-time 2 http://127.0.0.1:8080/healthz || exit 1

STOPSIGNAL SIGTERM
ENTRYPOINT ["ringbridge"]
CMD ["serve"]
