package liftoff;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Transactions NAMESRV TOPIC COUNT TIMEOUT_S
 *
 * <p>Sends COUNT half messages with the official transactional producer, in a group of the topic. The body is the
 * message's number n. By n % 3 the local transaction commits, rolls back or is unknown. Of an unknown one the answer to the
 * broker's question is a commit for an even n and a rollback for an odd one. It waits until it was asked about each of
 * those, and prints a JSON object a line: what became of each local transaction, and each question.
 */
public final class Transactions {
    private Transactions() {
    }

    public static void main(String[] args) throws Exception {
        Thread.setDefaultUncaughtExceptionHandler((t, e) -> { // the client's threads would keep the process alive
            e.printStackTrace();
            System.exit(1);
        });
        int count = Integer.parseInt(args[2]);
        Set<Integer> asked = ConcurrentHashMap.newKeySet();
        TransactionMQProducer producer = new TransactionMQProducer(args[1] + "_g");
        producer.setNamesrvAddr(args[0]);
        producer.setSendMsgTimeout(20_000);
        producer.setMqClientApiTimeout(20_000); // a busy machine
        producer.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message m, Object n) {
                switch ((int) n % 3) {
                    case 0:
                        return LocalTransactionState.COMMIT_MESSAGE;
                    case 1:
                        return LocalTransactionState.ROLLBACK_MESSAGE;
                    default:
                        return LocalTransactionState.UNKNOW;
                }
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt m) {
                int n = Integer.parseInt(new String(m.getBody(), StandardCharsets.UTF_8));
                print("asked", n, m.getMsgId(), m.getTransactionId());
                asked.add(n);
                return n % 2 == 0 ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.ROLLBACK_MESSAGE;
            }
        });
        producer.start();
        for (int n = 0; n < count; n++) {
            Message m = new Message(args[1], Integer.toString(n).getBytes(StandardCharsets.UTF_8));
            TransactionSendResult r = producer.sendMessageInTransaction(m, n);
            print(r.getSendStatus() + " " + r.getLocalTransactionState(), n, r.getMsgId(), r.getTransactionId());
        }
        for (long end = System.nanoTime() + Long.parseLong(args[3]) * 1_000_000_000L; asked.size() < count / 3 && System.nanoTime() < end;) {
            Thread.sleep(100);
        }
        Thread.sleep(1000); // the last answer leaves
        producer.shutdown();
        System.exit(0); // the client leaves threads behind
    }

    private static void print(String what, int n, String id, String transactionId) {
        Map<String, Object> o = new LinkedHashMap<>();
        o.put("what", what);
        o.put("n", n);
        o.put("msgId", id);
        o.put("transactionId", transactionId);
        synchronized (System.out) {
            System.out.println(Json.of(o));
        }
    }
}
