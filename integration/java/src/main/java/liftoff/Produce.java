package liftoff;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/**
 * Produce NAMESRV TOPIC sync|async|oneway|batch COUNT [BODY_SIZE]
 *
 * <p>Sends COUNT messages with the official producer and its default settings, but for longer times. Message number i has
 * the body "java-MODE-i" (filled up to BODY_SIZE with dots), tag "java", key "key-i" and the property n=i. Prints one line per
 * acknowledged send and a summary last. One-way sends have no acknowledgement. Exit status 1 when a send failed.
 */
public final class Produce {
    private static final int BATCH = 20;
    private static final int ASYNC_IN_FLIGHT = 64;

    private Produce() {
    }

    public static void main(String[] args) throws Exception {
        if (args.length < 4) {
            System.err.println("usage: Produce NAMESRV TOPIC sync|async|oneway|batch COUNT [BODY_SIZE]");
            System.exit(2);
        }
        String topic = args[1];
        String mode = args[2];
        int count = Integer.parseInt(args[3]);
        int size = args.length > 4 ? Integer.parseInt(args[4]) : 0;
        PrintStream out = System.out;
        DefaultMQProducer producer = new DefaultMQProducer("liftoff_java_" + mode);
        producer.setNamesrvAddr(args[0]);
        producer.setSendMsgTimeout(20_000); // a busy machine
        producer.setMqClientApiTimeout(20_000);
        producer.start();
        AtomicInteger acked = new AtomicInteger();
        AtomicInteger failed = new AtomicInteger();
        long began = System.nanoTime();
        switch (mode) {
            case "sync":
                for (int i = 0; i < count; i++) {
                    try {
                        ack(out, producer.send(message(topic, mode, i, size)), 1, acked);
                    } catch (Exception e) {
                        fail(e, failed);
                    }
                }
                break;
            case "async":
                Semaphore room = new Semaphore(ASYNC_IN_FLIGHT);
                CountDownLatch all = new CountDownLatch(count);
                for (int i = 0; i < count; i++) {
                    room.acquire();
                    producer.send(message(topic, mode, i, size), new SendCallback() {
                        @Override
                        public void onSuccess(SendResult result) {
                            ack(out, result, 1, acked);
                            room.release();
                            all.countDown();
                        }

                        @Override
                        public void onException(Throwable e) {
                            fail(e, failed);
                            room.release();
                            all.countDown();
                        }
                    });
                }
                all.await();
                break;
            case "oneway":
                for (int i = 0; i < count; i++) {
                    producer.sendOneway(message(topic, mode, i, size));
                }
                // Nothing tells when one-way bytes have left, and shutdown closes the socket.
                Thread.sleep(1000);
                break;
            case "batch":
                for (int i = 0; i < count; i += BATCH) {
                    List<Message> batch = new ArrayList<>();
                    for (int j = i; j < Math.min(i + BATCH, count); j++) {
                        batch.add(message(topic, mode, j, size));
                    }
                    try {
                        ack(out, producer.send(batch), batch.size(), acked);
                    } catch (Exception e) {
                        fail(e, failed);
                    }
                }
                break;
            default:
                System.err.println("unknown mode " + mode);
                System.exit(2);
        }
        Map<String, Object> summary = new LinkedHashMap<>();
        summary.put("end", true);
        summary.put("mode", mode);
        summary.put("sent", count);
        summary.put("acked", acked.get());
        summary.put("failed", failed.get());
        summary.put("millis", (System.nanoTime() - began) / 1_000_000);
        out.println(Json.of(summary));
        out.flush();
        producer.shutdown();
        System.exit(failed.get() == 0 ? 0 : 1);
    }

    private static Message message(String topic, String mode, int i, int size) {
        byte[] text = ("java-" + mode + "-" + i).getBytes(StandardCharsets.UTF_8);
        byte[] body = text;
        if (text.length < size) {
            body = Arrays.copyOf(text, size);
            Arrays.fill(body, text.length, size, (byte) '.');
        }
        Message m = new Message(topic, "java", "key-" + i, body);
        m.putUserProperty("n", Integer.toString(i));
        return m;
    }

    private static void ack(PrintStream out, SendResult r, int messages, AtomicInteger acked) {
        acked.addAndGet(messages);
        Map<String, Object> o = new LinkedHashMap<>();
        o.put("status", r.getSendStatus().name());
        o.put("msgId", r.getMsgId());
        o.put("offsetMsgId", r.getOffsetMsgId());
        o.put("broker", r.getMessageQueue().getBrokerName());
        o.put("queueId", r.getMessageQueue().getQueueId());
        o.put("queueOffset", r.getQueueOffset());
        synchronized (out) {
            out.println(Json.of(o));
        }
    }

    private static void fail(Throwable e, AtomicInteger failed) {
        if (failed.incrementAndGet() <= 5) {
            e.printStackTrace();
        }
    }
}
