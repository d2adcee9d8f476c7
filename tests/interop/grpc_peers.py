# SPDX-License-Identifier: MIT
"""OTLP/gRPC receivers of several ecosystems, the proxies before them, and certificates for both.

Each receiver in servers/ takes NAME=VALUE arguments and prints "port N" once it listens. What it
accepts it appends to the record: four bytes of length, big-endian, then the request as it came.

    record=FILE                         required
    port=N                              a free one unless given
    cert=FILE key=FILE                  TLS
    ca=FILE                             clients must have a certificate of this CA
    window=N                            stream window: all but grpc_js
    frame=N                             max frame size: c_core, tonic, strict_h2
    table=N                             header table size: c_core, strict_h2
    age_ms=N                            GOAWAY when a connection is that old: all but strict_h2
    metadata=N                          largest header list: GrpcJava

strict_h2 only:

    goaway=K goaway_as=after|during|refuse   GOAWAY with every K-th answer, at the begin of every
                                        K-th request, or so that the request after K is not read
    refuse=K                            every K-th stream is reset with REFUSED_STREAM
    wobble=N                            the setting for windows alternates between N and window's
                                        while a request's body arrives
    abort=N aborts=K                    K connections are reset after N bytes of bodies each
    ping_ms=N                           PING so often, whose answer may take two seconds
"""

import os
import shutil
import signal

import harness

SERVERS = harness.ROOT / "tests" / "interop" / "servers"
PYTHON = harness.INTEROP / "venv" / "bin" / "python"


# ---- certificates ----------------------------------------------------------------------------


class Certificates:
    """A CA, and certificates of it: PEM files in build/interop/output/certificates."""

    def __init__(self):
        self.folder = harness.OUTPUT / "certificates"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.ca = self.folder / "ca.pem"
        self.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2",
            *("-subj", "/CN=interop CA", "-keyout", self.folder / "ca.key", "-out", self.ca),
        )
        self.cert, self.key = self.issue("server", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self.client_cert, self.client_key = self.issue("client", "extendedKeyUsage=clientAuth")
        self.both = self.folder / "server.both.pem"  # as HAProxy wants it
        self.both.write_bytes(self.cert.read_bytes() + self.key.read_bytes())

    def issue(self, name, extension, days=2):
        cert, key, request = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        extensions = self.folder / f"{name}.extensions"
        extensions.write_text(extension + "\n")
        self.openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes",
            *("-subj", f"/CN=interop {name}", "-keyout", key, "-out", request),
        )
        self.openssl(
            f"x509 -req -days {days} -CAcreateserial",
            *("-in", request, "-CA", self.ca, "-CAkey", self.folder / "ca.key"),
            *("-extfile", extensions, "-out", cert),
        )
        return cert, key

    @staticmethod
    def openssl(words, *arguments):
        result = harness.run(["openssl", *words.split(), *arguments])
        if result.returncode != 0:
            raise RuntimeError(f"openssl {words}: {result.stderr}")


# ---- receivers -------------------------------------------------------------------------------


def java_command():
    java = harness.INTEROP / "java"
    # It lives for seconds: what it compiles need not be fast.
    return ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{java}:{java}/jars/*", "GrpcJava"]


COMMANDS = {
    "c_core": lambda: [PYTHON, SERVERS / "c_core.py"],
    "strict_h2": lambda: [PYTHON, SERVERS / "strict_h2.py"],
    "grpc_js": lambda: ["node", SERVERS / "grpc_js.js"],
    "grpc_java": java_command,
    "tonic": lambda: [harness.INTEROP / "tonic" / "debug" / "server"],
}


class Receiver:
    """What is common: a record and an endpoint."""

    finds_faults = False  # has problems()

    def messages(self):
        """The records that are complete: a killed server may leave half of one."""
        content, at = self.record.read_bytes() if self.record.exists() else b"", 0
        while at + 4 <= len(content):
            end = at + 4 + int.from_bytes(content[at : at + 4], "big")
            if end > len(content):
                break
            yield content[at + 4 : end]
            at = end


class Server(Receiver):
    """One of COMMANDS. With certificates it speaks TLS."""

    def __init__(self, kind, name, certificates=None, **options):
        self.finds_faults = kind == "strict_h2"
        self.log = harness.OUTPUT / f"{name}.log"
        self.record = harness.OUTPUT / f"{name}.record"
        self.log.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)
        options["record"] = self.record
        if certificates:
            options |= {"cert": certificates.cert, "key": certificates.key}
        arguments = [f"{name}={value}" for name, value in options.items()]
        modules = str(harness.INTEROP / "node" / "node_modules")
        self.process = harness.Process(
            [*COMMANDS[kind](), *arguments], self.log, NODE_PATH=modules
        )
        harness.wait_until(self.started, 30, f"{kind} prints its port (see {self.log})")
        self.port = int(self.lines("port ")[0])
        self.endpoint = f"{'https' if certificates else 'http'}://127.0.0.1:{self.port}"

    def lines(self, start):
        lines = self.log.read_text(errors="replace").split("\n")[:-1]
        return [line[len(start) :] for line in lines if line.startswith(start)]

    def started(self):
        if not self.process.running():
            raise RuntimeError(f"it ended:\n{self.process.tail()}")
        return self.lines("port ")

    def stop(self, signal_number=signal.SIGTERM):
        return self.process.stop(signal_number)

    def problems(self):
        return self.lines("problem ")


class Collector(Receiver, harness.Collector):
    """grpc-go: the Collector with its gRPC receiver."""

    def __init__(self, name, certificates=None, port=None, **settings):
        self.settings = settings
        if certificates:
            self.settings["tls"] = {
                "cert_file": str(certificates.cert),
                "key_file": str(certificates.key),
            }
        super().__init__(name, port)
        self.record = self.path
        self.endpoint = f"{'https' if certificates else 'http'}://127.0.0.1:{self.port}"

    def configuration(self):
        configuration = super().configuration()
        receiver = {"endpoint": f"127.0.0.1:{self.port}", **self.settings}
        configuration["receivers"]["otlp"]["protocols"] = {"grpc": receiver}
        configuration["exporters"] = {"file": {"path": str(self.path), "format": "proto"}}
        configuration["service"]["pipelines"]["traces"]["exporters"] = ["file"]
        return configuration


# ---- proxies ---------------------------------------------------------------------------------


def find(program):
    """Its path, also where only root has it in PATH; None: it is not here."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(program, path=f"{path}:/usr/local/sbin:/usr/sbin")


def nginx_command(folder, port, backend, certificates, requests):
    tls = ""
    if certificates:
        tls = f"ssl_certificate {certificates.cert}; ssl_certificate_key {certificates.key};"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder};" for kind in kinds)
    (folder / "nginx.conf").write_text(f"""
        daemon off; master_process off; pid {folder}/pid; error_log stderr;
        events {{ worker_connections 64; }}
        http {{
            access_log off; {paths} keepalive_requests {requests or 1000};
            server {{
                listen 127.0.0.1:{port} {"ssl" if tls else ""} http2; {tls}
                client_max_body_size 0;
                location / {{ grpc_pass grpc://127.0.0.1:{backend}; }}
            }}
        }}
    """)
    return [find("nginx"), "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"]


def haproxy_command(folder, port, backend, certificates, requests):
    tls = f"ssl crt {certificates.both} alpn h2" if certificates else "proto h2"
    (folder / "haproxy.cfg").write_text(
        "global\n maxconn 64\n nbthread 1\n"
        " tune.h2.initial-window-size 1024\n"
        "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
        f"frontend in\n bind 127.0.0.1:{port} {tls}\n default_backend out\n"
        f"backend out\n server one 127.0.0.1:{backend} proto h2\n"
    )
    return [find("haproxy"), "-db", "-f", folder / "haproxy.cfg"]


def nghttpx_command(folder, port, backend, certificates, requests):
    (folder / "nghttpx.conf").write_text("")
    return [
        *(find("nghttpx"), f"--conf={folder}/nghttpx.conf", "--workers=1", "--no-ocsp"),
        f"--frontend=127.0.0.1,{port}{'' if certificates else ';no-tls'}",
        f"--backend=127.0.0.1,{backend};;proto=h2",
        "--frontend-http2-decoder-dynamic-table-size=0",
        "--frontend-http2-window-size=100",
        *([certificates.key, certificates.cert] if certificates else []),
    ]


ENVOY = """
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": {type}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          codec_type: HTTP2
          http2_protocol_options: {{ hpack_table_size: 0 }}
          common_http_protocol_options: {{ max_requests_per_connection: {requests} }}
          drain_timeout: 0.1s
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{ match: {{ prefix: / }}, route: {{ cluster: out }} }}]
          http_filters:
          - name: router
            typed_config: {{ "@type": {type}.filters.http.router.v3.Router }}
{socket}
  clusters:
  - name: out
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": {type}.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http2_protocol_options: {{}} }}
    load_assignment:
      cluster_name: out
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{ socket_address: {{ address: 127.0.0.1, port_value: {backend} }} }}
"""
ENVOY_TLS = """
      transport_socket:
        name: tls
        typed_config:
          "@type": {type}.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2]
            tls_certificates:
            - certificate_chain: {{ filename: "{certificates.cert}" }}
              private_key: {{ filename: "{certificates.key}" }}
"""


def envoy_command(folder, port, backend, certificates, requests):
    values = {"type": "type.googleapis.com/envoy.extensions", "certificates": certificates}
    socket = ENVOY_TLS.format(**values) if certificates else ""
    values |= {"port": port, "backend": backend, "requests": requests or 0, "socket": socket}
    (folder / "envoy.yaml").write_text(ENVOY.format(**values))
    binary = next((harness.INTEROP / "venv").glob("lib/*/site-packages/envoy/_bin/envoy"))
    return [
        *(binary, "-c", folder / "envoy.yaml", "--concurrency", "1"),
        *("--use-dynamic-base-id", "--disable-hot-restart", "--log-level", "warning"),
    ]


PROXIES = {
    "nginx": nginx_command,
    "haproxy": haproxy_command,
    "nghttpx": nghttpx_command,
    "envoy": envoy_command,
}


class Proxy:
    """One of PROXIES before a server that speaks clear text. With certificates its front is TLS;
    requests: how many it serves on a connection before GOAWAY (nginx, envoy)."""

    def __init__(self, kind, name, backend, certificates=None, requests=None):
        folder = harness.OUTPUT / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.port = harness.free_port()
        command = PROXIES[kind](folder, self.port, backend.port, certificates, requests)
        self.process = harness.Process(command, folder / "log")
        self.endpoint = f"{'https' if certificates else 'http'}://127.0.0.1:{self.port}"
        harness.wait_until(self.started, 30, f"{kind} listens (see {self.process.log})")

    def started(self):
        if not self.process.running():
            raise RuntimeError(f"it ended:\n{self.process.tail()}")
        return harness.accepts(self.port)

    def stop(self):
        return self.process.stop()
