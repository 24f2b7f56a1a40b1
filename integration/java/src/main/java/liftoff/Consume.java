package liftoff;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Consume NAMESRV TOPIC GROUP concurrently|orderly|broker tag|sql EXPRESSION RETRIES EXPECTED TIMEOUT_S
 *
 * <p>The official push consumer. It fails every message whose body begins with "fail" and takes the others, prints each
 * delivery as a JSON object a line, and ends after EXPECTED of them or after TIMEOUT_S; then the offsets are committed.
 * RETRIES is its limit, -1 the default. Mode broker lets the broker share out the queues, which pop consumption needs;
 * versions before 5 do not know it. A consumer that does not start prints {"startFailed":...} and why.
 */
public final class Consume {
    private Consume() {
    }

    public static void main(String[] args) throws Exception {
        if (args.length != 9) {
            System.err.println("usage: Consume NAMESRV TOPIC GROUP concurrently|orderly|broker tag|sql EXPRESSION RETRIES EXPECTED TIMEOUT_S");
            System.exit(2);
        }
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(args[2]);
        consumer.setNamesrvAddr(args[0]);
        consumer.setInstanceName("consumer-" + System.nanoTime());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setMaxReconsumeTimes(Integer.parseInt(args[6]));
        consumer.setMqClientApiTimeout(20_000); // a busy machine
        consumer.setSuspendCurrentQueueTimeMillis(100);
        consumer.subscribe(args[1], args[4].equals("sql") ? MessageSelector.bySql(args[5]) : MessageSelector.byTag(args[5]));
        CountDownLatch left = new CountDownLatch(Integer.parseInt(args[7]));
        if (args[3].equals("orderly")) {
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) ->
                took(messages.get(0), left) ? ConsumeOrderlyStatus.SUCCESS : ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT);
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) ->
                took(messages.get(0), left) ? ConsumeConcurrentlyStatus.CONSUME_SUCCESS : ConsumeConcurrentlyStatus.RECONSUME_LATER);
        }
        if (args[3].equals("broker")) {
            DefaultMQPushConsumer.class.getMethod("setClientRebalance", boolean.class).invoke(consumer, false);
        }
        try {
            consumer.start();
        } catch (MQClientException e) {
            Map<String, Object> failed = new LinkedHashMap<>();
            failed.put("startFailed", String.valueOf(e.getMessage()));
            failed.put("code", e.getResponseCode());
            System.out.println(Json.of(failed));
            System.exit(0);
        }
        left.await(Long.parseLong(args[8]), TimeUnit.SECONDS);
        Thread.sleep(1000); // what was failed last goes back, and more than expected would come
        consumer.shutdown();
        System.exit(0); // the client leaves threads behind
    }

    private static boolean took(MessageExt m, CountDownLatch left) {
        Map<String, Object> o = new LinkedHashMap<>();
        o.put("body", new String(m.getBody()));
        o.put("topic", m.getTopic());
        o.put("tags", m.getTags());
        o.put("reconsumeTimes", m.getReconsumeTimes());
        o.put("originMsgId", m.getProperty("ORIGIN_MESSAGE_ID"));
        o.put("millis", System.currentTimeMillis());
        synchronized (System.out) {
            System.out.println(Json.of(o));
        }
        left.countDown();
        return !new String(m.getBody()).startsWith("fail");
    }
}
