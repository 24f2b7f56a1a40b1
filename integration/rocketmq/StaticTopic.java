import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.remoting.protocol.statictopic.TopicConfigAndQueueMapping;
import org.apache.rocketmq.remoting.protocol.statictopic.TopicQueueMappingUtils;
import org.apache.rocketmq.remoting.protocol.statictopic.TopicRemappingDetailWrapper;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;
import org.apache.rocketmq.tools.admin.MQAdminUtils;

/**
 * What mqadmin's updateStaticTopic and remappingStaticTopic do, by the same classes, with other time-outs.
 * Both tell one broker after the other. When a broker of a busy machine takes longer than the 5 s that they wait, they end
 * half way, and they cannot go on from there: the option for that (-mf) is read by another name.
 */
public final class StaticTopic {
    private static final long TIMEOUT_MILLIS = 120_000;
    private static final int LOGIC_OFFSET_STEP = 10_000; // as in remappingStaticTopic

    public static void main(String[] args) throws Exception {
        if (args.length != 4 || !args[0].equals("create") && !args[0].equals("remap")) {
            System.err.println("usage: StaticTopic create|remap TOPIC QUEUES BROKER[,BROKER...]");
            System.exit(2);
        }
        String topic = args[1];
        Set<String> brokers = new HashSet<>(Arrays.asList(args[3].split(",")));
        DefaultMQAdminExt admin = new DefaultMQAdminExt(TIMEOUT_MILLIS);
        admin.setInstanceName(Long.toString(System.nanoTime()));
        admin.start();
        try {
            Map<String, TopicConfigAndQueueMapping> all = MQAdminUtils.examineTopicConfigAll(topic, admin);
            if (args[0].equals("create")) {
                TopicQueueMappingUtils.createTopicConfigMapping(topic, Integer.parseInt(args[2]), brokers, all);
                MQAdminUtils.completeNoTargetBrokers(all, admin);
                MQAdminUtils.updateTopicConfigMappingAll(all, admin, false);
                return;
            }
            TopicRemappingDetailWrapper plan = TopicQueueMappingUtils.remappingStaticTopic(topic, all, brokers);
            MQAdminUtils.completeNoTargetBrokers(plan.getBrokerConfigMap(), admin);
            MQAdminUtils.remappingStaticTopic(topic, plan.getBrokerToMapIn(), plan.getBrokerToMapOut(), plan.getBrokerConfigMap(),
                LOGIC_OFFSET_STEP, false, admin);
        } finally {
            admin.shutdown();
        }
    }
}
