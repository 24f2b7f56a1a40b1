package liftoff;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/**
 * Recall NAMESRV TOPIC DELAY_MS
 *
 * <p>The official client sends two timed messages, "recalled" and "kept", and recalls the first one twice; then it recalls
 * what is no handle. It prints a JSON object a line. Clients of 4.x have no recall, so a build for them leaves this out.
 */
public final class Recall {
    private Recall() {
    }

    public static void main(String[] args) throws Exception {
        Thread.setDefaultUncaughtExceptionHandler((t, e) -> { // the client's threads would keep the process alive
            e.printStackTrace();
            System.exit(1);
        });
        DefaultMQProducer producer = new DefaultMQProducer("liftoff_java_recall");
        producer.setNamesrvAddr(args[0]);
        producer.setSendMsgTimeout(20_000);
        producer.setMqClientApiTimeout(20_000); // a busy machine
        producer.start();
        long due = System.currentTimeMillis() + Long.parseLong(args[2]);
        SendResult recalled = timed(producer, args[1], "recalled", due);
        SendResult kept = timed(producer, args[1], "kept", due);
        for (String handle : new String[] {recalled.getRecallHandle(), recalled.getRecallHandle(), "none"}) {
            Map<String, Object> o = new LinkedHashMap<>();
            try {
                o.put("id", producer.recallMessage(args[1], handle));
            } catch (Exception e) {
                o.put("error", e.toString());
            }
            o.put("recalled", recalled.getMsgId());
            o.put("kept", kept.getMsgId());
            System.out.println(Json.of(o));
        }
        producer.shutdown();
        System.exit(0); // the client leaves threads behind
    }

    private static SendResult timed(DefaultMQProducer producer, String topic, String body, long due) throws Exception {
        Message m = new Message(topic, body.getBytes(StandardCharsets.UTF_8));
        m.setDeliverTimeMs(due);
        return producer.send(m);
    }
}
