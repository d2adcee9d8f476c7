// SPDX-License-Identifier: MIT

import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.netty.shaded.io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.netty.shaded.io.netty.handler.ssl.ClientAuth;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslContextBuilder;
import io.grpc.stub.ServerCalls;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * An OTLP trace receiver on grpc-java with Netty: appends each request, after its length, to a
 * file. Arguments are NAME=VALUE; grpc_peers.py lists them.
 */
public final class GrpcJava {
    private static final String SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService";

    /** Messages as they are. */
    private static final MethodDescriptor.Marshaller<byte[]> RAW =
            new MethodDescriptor.Marshaller<byte[]>() {
                @Override
                public InputStream stream(byte[] message) {
                    return new ByteArrayInputStream(message);
                }

                @Override
                public byte[] parse(InputStream message) {
                    try {
                        return message.readAllBytes();
                    } catch (IOException e) {
                        throw new IllegalStateException(e);
                    }
                }
            };

    private static synchronized void append(FileOutputStream record, byte[] message) {
        byte[] line = ByteBuffer.allocate(4 + message.length).putInt(message.length).put(message)
                .array();
        try {
            record.write(line);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static ServerServiceDefinition service(FileOutputStream record) {
        MethodDescriptor<byte[], byte[]> export = MethodDescriptor.newBuilder(RAW, RAW)
                .setType(MethodDescriptor.MethodType.UNARY)
                .setFullMethodName(SERVICE + "/Export")
                .build();
        return ServerServiceDefinition.builder(SERVICE)
                .addMethod(export, ServerCalls.asyncUnaryCall((message, observer) -> {
                    append(record, message);
                    observer.onNext(new byte[0]);
                    observer.onCompleted();
                }))
                .build();
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> given = new HashMap<>();
        for (String argument : arguments) {
            String[] pair = argument.split("=", 2);
            given.put(pair[0], pair[1]);
        }
        int port = Integer.parseInt(given.getOrDefault("port", "0"));
        NettyServerBuilder builder =
                NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", port))
                        .addService(service(new FileOutputStream(given.get("record"), true)))
                        .maxInboundMessageSize(64 << 20);
        if (given.containsKey("window")) {
            builder.flowControlWindow(Integer.parseInt(given.get("window")));
        }
        if (given.containsKey("metadata")) {
            builder.maxInboundMetadataSize(Integer.parseInt(given.get("metadata")));
        }
        if (given.containsKey("age_ms")) {
            builder.maxConnectionAge(Long.parseLong(given.get("age_ms")), TimeUnit.MILLISECONDS);
        }
        if (given.containsKey("cert")) {
            SslContextBuilder tls = GrpcSslContexts.forServer(
                    new File(given.get("cert")), new File(given.get("key")));
            if (given.containsKey("ca")) {
                tls.trustManager(new File(given.get("ca"))).clientAuth(ClientAuth.REQUIRE);
            }
            builder.sslContext(tls.build());
        }
        Server server = builder.build().start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                server.shutdown().awaitTermination(5, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        System.out.println("port " + server.getPort());
        server.awaitTermination();
    }
}
