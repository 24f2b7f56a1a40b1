package liftoff.bench;

import java.io.OutputStream;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.remoting.RPCHook;
import org.apache.rocketmq.remoting.netty.TlsSystemConfig;

/** The contender Java: the official producer with its defaults, under the load of one cell. */
public final class Main {
    private static final long DRAIN_MILLIS = 15_000;

    private Main() {
    }

    public static void main(String[] argv) throws Exception {
        Spec spec = new Spec(argv);
        DefaultMQProducer producer = producer(spec);
        producer.setNamesrvAddr(spec.text("nameserver"));
        producer.start();

        Meter meter = new Meter();
        Thread load = new Thread(() -> {
            try {
                run(spec, producer, meter);
            } catch (Exception e) {
                meter.fail(e);
            }
        });
        load.start();
        Thread.sleep(spec.number("warm"));
        meter.begin();
        Thread.sleep(spec.number("window"));
        meter.end();
        meter.stop();
        // After a flood the client may need minutes to send what it took, or never end.
        Thread end = new Thread(() -> {
            try {
                load.join();
                producer.shutdown();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        end.start();
        end.join(DRAIN_MILLIS);
        System.out.println(meter.json());
        System.in.transferTo(OutputStream.nullOutputStream()); // until the bench has looked at this process
        Runtime.getRuntime().halt(0);
    }

    private static DefaultMQProducer producer(Spec spec) throws Exception {
        String ca = spec.text("ca");
        if (!ca.isEmpty()) { // the client's settings of TLS are these properties, which it reads once
            System.setProperty(TlsSystemConfig.TLS_TEST_MODE_ENABLE, "false");
            System.setProperty(TlsSystemConfig.TLS_CLIENT_AUTHSERVER, "true");
            System.setProperty(TlsSystemConfig.TLS_CLIENT_TRUSTCERTPATH, ca);
        }
        RPCHook signer = null;
        String credentials = spec.text("credentials");
        if (!credentials.isEmpty()) {
            Properties keys = new Properties();
            try (Reader file = Files.newBufferedReader(Path.of(credentials))) {
                keys.load(file);
            }
            signer = new AclClientRPCHook(new SessionCredentials(keys.getProperty("accessKey"), keys.getProperty("secretKey")));
        }
        DefaultMQProducer producer = new DefaultMQProducer("bench_java", signer);
        producer.setUseTLS(!ca.isEmpty());
        return producer;
    }

    private static void run(Spec spec, DefaultMQProducer producer, Meter meter) throws Exception {
        byte[] body = spec.body();
        if (spec.text("mode").equals("async")) {
            async(spec, producer, meter, body);
            return;
        }
        List<Thread> callers = new ArrayList<>();
        for (int i = 0; i < spec.number("inflight"); i++) {
            Thread t = new Thread(() -> call(spec, producer, meter, body));
            t.start();
            callers.add(t);
        }
        for (Thread t : callers) {
            t.join();
        }
    }

    private static void call(Spec spec, DefaultMQProducer producer, Meter meter, byte[] body) {
        String topic = spec.text("topic");
        boolean oneway = spec.text("mode").equals("oneway");
        while (!meter.stopped()) {
            long start = System.nanoTime();
            try {
                if (oneway) {
                    producer.sendOneway(new Message(topic, body));
                } else if (spec.messages() > 1) {
                    List<Message> batch = new ArrayList<>(spec.messages());
                    for (int i = 0; i < spec.messages(); i++) {
                        batch.add(new Message(topic, body));
                    }
                    check(producer.send(batch));
                } else {
                    check(producer.send(new Message(topic, body)));
                }
                meter.ok(spec.messages(), start);
            } catch (Exception e) {
                meter.fail(e);
                pause();
            }
        }
    }

    private static void check(SendResult result) {
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            throw new IllegalStateException("status " + result.getSendStatus());
        }
    }

    /** One thread starts a send whenever fewer than inflight are under way. */
    private static void async(Spec spec, DefaultMQProducer producer, Meter meter, byte[] body) throws Exception {
        String topic = spec.text("topic");
        Semaphore room = new Semaphore(spec.number("inflight"));
        while (!meter.stopped()) {
            room.acquire();
            long start = System.nanoTime();
            try {
                producer.send(new Message(topic, body), new SendCallback() {
                    @Override
                    public void onSuccess(SendResult result) {
                        try {
                            check(result);
                            meter.ok(1, start);
                        } catch (IllegalStateException e) {
                            meter.fail(e);
                        }
                        room.release();
                    }

                    @Override
                    public void onException(Throwable e) {
                        meter.fail(e);
                        room.release();
                    }
                });
            } catch (Exception e) {
                meter.fail(e);
                room.release();
                pause();
            }
        }
        room.tryAcquire(spec.number("inflight"), DRAIN_MILLIS, TimeUnit.MILLISECONDS);
    }

    private static void pause() {
        try {
            Thread.sleep(10);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
