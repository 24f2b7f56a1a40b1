package liftoff;

import apache.rocketmq.v2.Address;
import apache.rocketmq.v2.AddressScheme;
import apache.rocketmq.v2.Broker;
import apache.rocketmq.v2.Endpoints;
import apache.rocketmq.v2.Permission;
import apache.rocketmq.v2.Resource;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToIntFunction;
import org.apache.rocketmq.client.java.impl.producer.PublishingLoadBalancer;
import org.apache.rocketmq.client.java.route.TopicRouteData;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Queues FILE SIZE...
 *
 * <p>Prints which queue each line of FILE, a key, gets in a topic of SIZE queues: a line "java SIZE QUEUE QUEUE..." by the
 * selector of the remoting client, and a line "v5 ..." by the load balancer of the client for gRPC, for each SIZE.
 */
public final class Queues {
    private Queues() {
    }

    public static void main(String[] args) throws Exception {
        List<String> keys = Files.readAllLines(Path.of(args[0]), StandardCharsets.UTF_8);
        for (int a = 1; a < args.length; a++) {
            int size = Integer.parseInt(args[a]);
            List<MessageQueue> queues = new ArrayList<>();
            List<apache.rocketmq.v2.MessageQueue> routes = new ArrayList<>();
            Endpoints endpoints = Endpoints.newBuilder().setScheme(AddressScheme.IPv4)
                .addAddresses(Address.newBuilder().setHost("127.0.0.1").setPort(1)).build();
            for (int id = 0; id < size; id++) {
                queues.add(new MessageQueue("T", "a", id));
                routes.add(apache.rocketmq.v2.MessageQueue.newBuilder().setId(id).setTopic(Resource.newBuilder().setName("T"))
                    .setPermission(Permission.READ_WRITE).setBroker(Broker.newBuilder().setName("a").setEndpoints(endpoints)).build());
            }
            SelectMessageQueueByHash hash = new SelectMessageQueueByHash();
            print("java", size, keys, key -> hash.select(queues, new Message(), key).getQueueId());
            PublishingLoadBalancer balancer = new PublishingLoadBalancer(new TopicRouteData(routes));
            print("v5", size, keys, key -> balancer.takeMessageQueueByMessageGroup(key).getQueueId());
        }
    }

    private static void print(String name, int size, List<String> keys, ToIntFunction<String> queueOf) {
        StringBuilder line = new StringBuilder(name + " " + size);
        for (String key : keys) {
            line.append(' ').append(queueOf.applyAsInt(key));
        }
        System.out.println(line);
    }
}
