package liftoff;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * RequestReply respond NAMESRV TOPIC COUNT TIMEOUT_S
 * RequestReply request NAMESRV TOPIC COUNT TIMEOUT_MS
 *
 * <p>The official client at either end. Respond replies to each message of the topic with "re:" and its body, until it
 * has replied to COUNT of them. Request makes COUNT requests with the bodies "java-0" and so on, 32 at a time. Each prints
 * a JSON object a line: the body, and the reply or the error.
 *
 * <p>Requests have callbacks: up to 5.3.3 the call that waits returns without the reply when the send is acknowledged
 * (RequestResponseFuture.acquireCountDownLatch), and a callback is called once more for the acknowledgement, with
 * nothing or with the same reply again.
 */
public final class RequestReply {
    private static final int IN_FLIGHT = 32;

    private RequestReply() {
    }

    public static void main(String[] args) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("liftoff_java_" + args[0]);
        producer.setNamesrvAddr(args[1]);
        producer.setInstanceName(args[0] + System.nanoTime());
        producer.setSendMsgTimeout(20_000);
        producer.setMqClientApiTimeout(20_000); // the machine may be busy
        producer.start();
        int count = Integer.parseInt(args[3]);
        if (args[0].equals("respond")) {
            respond(producer, args[1], args[2], count, Long.parseLong(args[4]));
        } else {
            request(producer, args[2], count, Long.parseLong(args[4]));
        }
        System.exit(0); // the clients leave threads behind
    }

    private static void respond(DefaultMQProducer producer, String nameServer, String topic, int count, long seconds) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(topic + "_responders");
        consumer.setNamesrvAddr(nameServer);
        consumer.setInstanceName("responder" + System.nanoTime());
        consumer.setMqClientApiTimeout(20_000);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        CountDownLatch left = new CountDownLatch(count);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt m : messages) {
                String body = new String(m.getBody(), StandardCharsets.UTF_8);
                try {
                    Message reply = MessageUtil.createReplyMessage(m, ("re:" + body).getBytes(StandardCharsets.UTF_8));
                    SendResult result = producer.send(reply);
                    print(body, "reply", result.getSendStatus().name());
                } catch (Exception e) {
                    print(body, "error", e.toString());
                }
                left.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        left.await(seconds, TimeUnit.SECONDS);
        Thread.sleep(1000); // a request that comes twice comes by now
        consumer.shutdown();
    }

    private static void request(DefaultMQProducer producer, String topic, int count, long millis) throws Exception {
        Semaphore room = new Semaphore(IN_FLIGHT);
        for (int i = 0; i < count; i++) {
            String body = "java-" + i;
            room.acquire();
            try {
                AtomicReference<Message> got = new AtomicReference<>();
                producer.request(new Message(topic, body.getBytes(StandardCharsets.UTF_8)), new RequestCallback() {
                    @Override
                    public void onSuccess(Message reply) {
                        if (reply != null && got.getAndSet(reply) != reply) {
                            print(body, "reply", new String(reply.getBody(), StandardCharsets.UTF_8));
                            room.release();
                        }
                    }

                    @Override
                    public void onException(Throwable e) {
                        print(body, "error", String.valueOf(e));
                        room.release();
                    }
                }, millis);
            } catch (Exception e) {
                print(body, "error", e.toString());
                room.release();
            }
        }
        room.acquire(IN_FLIGHT);
        Thread.sleep(1000); // a reply that comes twice comes by now
    }

    private static void print(String body, String name, String value) {
        Map<String, Object> o = new LinkedHashMap<>();
        o.put("body", body);
        o.put(name, value);
        synchronized (System.out) {
            System.out.println(Json.of(o));
        }
    }
}
