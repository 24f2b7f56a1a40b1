package liftoff;

import java.io.BufferedOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.trace.TraceBean;
import org.apache.rocketmq.client.trace.TraceContext;
import org.apache.rocketmq.client.trace.TraceDataEncoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * ReadBack NAMESRV TOPIC EXPECTED TIMEOUT_S [traces]
 *
 * <p>Reads every queue of a topic from its least to its greatest offset with the official consumer and prints each
 * message as it is stored, one JSON object a line, then {"end":true,...}. It ends when all queues are read to their
 * greatest offset and at least EXPECTED messages were seen. With fewer than EXPECTED it goes on until TIMEOUT_S,
 * says so in the last line, and leaves the judgement to the caller: the exit status is 0 in both cases.
 *
 * <p>With traces the messages are those of the trace topic, and each record in them, as the client's own decoder reads it, is
 * a line and counts.
 */
public final class ReadBack {
    /** Bodies up to this size are printed whole; larger ones only by length and SHA-256. */
    private static final int WHOLE_BODY = 1024;

    private ReadBack() {
    }

    public static void main(String[] args) throws Exception {
        boolean traces = args.length == 5 && args[4].equals("traces");
        if (args.length != 4 && !traces) {
            System.err.println("usage: ReadBack NAMESRV TOPIC EXPECTED TIMEOUT_S [traces]");
            System.exit(2);
        }
        String topic = args[1];
        long expected = Long.parseLong(args[2]);
        long deadline = System.nanoTime() + Long.parseLong(args[3]) * 1_000_000_000L;
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer("liftoff_reader_" + System.nanoTime());
        consumer.setNamesrvAddr(args[0]);
        consumer.setInstanceName("reader-" + System.nanoTime());
        consumer.start();
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16), false, StandardCharsets.UTF_8);
        long seen = 0;
        int queues = 0;
        Map<MessageQueue, Long> next = new HashMap<>();
        boolean timedOut = false;
        try {
            while (true) {
                Exception trouble = null;
                boolean all = true;
                try {
                    Set<MessageQueue> found = consumer.fetchSubscribeMessageQueues(topic);
                    queues = found.size();
                    for (MessageQueue mq : found) {
                        long from = next.containsKey(mq) ? next.get(mq) : consumer.minOffset(mq);
                        long max = consumer.maxOffset(mq);
                        while (from < max) {
                            PullResult r = consumer.pull(mq, "*", from, 32);
                            if (r.getPullStatus() == PullStatus.FOUND) {
                                for (MessageExt m : r.getMsgFoundList()) {
                                    List<Map<String, Object>> lines = traces ? records(m) : List.of(describe(mq, m));
                                    for (Map<String, Object> line : lines) {
                                        out.println(Json.of(line));
                                        seen++;
                                    }
                                }
                            }
                            if (r.getNextBeginOffset() <= from) {
                                all = false; // the index is behind the greatest offset: ask again
                                break;
                            }
                            from = r.getNextBeginOffset();
                            next.put(mq, from);
                        }
                    }
                } catch (Exception e) {
                    trouble = e; // a broker that is just starting, a topic without a route yet
                }
                if (trouble == null && all && seen >= expected) {
                    break;
                }
                if (System.nanoTime() > deadline) {
                    timedOut = true;
                    if (trouble != null) {
                        trouble.printStackTrace();
                    }
                    break;
                }
                Thread.sleep(200);
            }
            Map<String, Object> end = new LinkedHashMap<>();
            end.put("end", true);
            end.put("seen", seen);
            end.put("queues", queues);
            end.put("timedOut", timedOut);
            out.println(Json.of(end));
            out.flush();
        } finally {
            out.flush();
            consumer.shutdown();
        }
        System.exit(0); // the client leaves threads behind
    }

    private static List<Map<String, Object>> records(MessageExt m) {
        List<Map<String, Object>> all = new ArrayList<>();
        for (TraceContext c : TraceDataEncoder.decoderFromTraceDataString(new String(m.getBody(), StandardCharsets.UTF_8))) {
            for (TraceBean b : c.getTraceBeans()) {
                Map<String, Object> o = new LinkedHashMap<>();
                o.put("kind", c.getTraceType().name());
                o.put("group", c.getGroupName());
                o.put("success", c.isSuccess());
                o.put("cost", c.getCostTime());
                o.put("time", c.getTimeStamp());
                o.put("topic", b.getTopic());
                o.put("msgId", b.getMsgId());
                o.put("storeHost", b.getStoreHost());
                o.put("msgType", String.valueOf(b.getMsgType()));
                o.put("transactionId", b.getTransactionId());
                o.put("state", String.valueOf(b.getTransactionState()));
                o.put("fromCheck", b.isFromTransactionCheck());
                all.add(o);
            }
        }
        return all;
    }

    private static Map<String, Object> describe(MessageQueue mq, MessageExt m) throws Exception {
        byte[] body = m.getBody() == null ? new byte[0] : m.getBody();
        Map<String, Object> o = new LinkedHashMap<>();
        o.put("topic", m.getTopic());
        o.put("broker", mq.getBrokerName());
        o.put("queueId", m.getQueueId());
        o.put("queueOffset", m.getQueueOffset());
        o.put("msgId", m.getProperty("UNIQ_KEY"));
        o.put("offsetMsgId", ((org.apache.rocketmq.common.message.MessageClientExt) m).getOffsetMsgId());
        o.put("tags", m.getTags());
        o.put("keys", m.getKeys());
        o.put("flag", m.getFlag());
        o.put("sysFlag", m.getSysFlag());
        o.put("bornTimestamp", m.getBornTimestamp());
        o.put("storeTimestamp", m.getStoreTimestamp());
        o.put("bornHost", m.getBornHostString());
        o.put("reconsumeTimes", m.getReconsumeTimes());
        o.put("storeSize", m.getStoreSize());
        o.put("delayLevel", m.getDelayTimeLevel());
        o.put("waitStore", m.isWaitStoreMsgOK());
        o.put("properties", new TreeMap<>(m.getProperties()));
        o.put("bodyLength", body.length);
        o.put("bodySha256", HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body)));
        if (body.length <= WHOLE_BODY) {
            o.put("bodyBase64", Base64.getEncoder().encodeToString(body));
        }
        return o;
    }
}
