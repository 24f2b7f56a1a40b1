package liftoff;

import com.alibaba.fastjson.serializer.SerializerFeature;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.trace.TraceBean;
import org.apache.rocketmq.client.trace.TraceContext;
import org.apache.rocketmq.client.trace.TraceDataEncoder;
import org.apache.rocketmq.client.trace.TraceType;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageType;
import org.apache.rocketmq.common.producer.RecallMessageHandle;
import org.apache.rocketmq.remoting.CommandCustomHeader;
import org.apache.rocketmq.remoting.RPCHook;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.netty.NettyRemotingClient;
import org.apache.rocketmq.remoting.protocol.LanguageCode;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.SerializeType;
import org.apache.rocketmq.remoting.protocol.header.EndTransactionRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.RecallMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.RecallMessageResponseHeader;
import org.apache.rocketmq.remoting.protocol.header.SendMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.SendMessageRequestHeaderV2;
import org.apache.rocketmq.remoting.protocol.header.SendMessageResponseHeader;
import org.apache.rocketmq.remoting.protocol.header.UnregisterClientRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.namesrv.GetRouteInfoRequestHeader;
import org.apache.rocketmq.remoting.protocol.heartbeat.HeartbeatData;
import org.apache.rocketmq.remoting.protocol.heartbeat.ProducerData;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.remoting.protocol.route.QueueData;
import org.apache.rocketmq.remoting.protocol.route.TopicRouteData;
import org.apache.rocketmq.remoting.rpchook.DynamicalExtFieldRPCHook;

/**
 * GoldenFrames: prints "name hex" lines, the bytes that RocketMQ's own classes make of fixed inputs.
 *
 * <p>Frames come out of RemotingCommand.fastEncodeHeader, which is what the Java client's and server's netty encoder
 * calls; each is printed in both header serializations. The same inputs stand in integration/golden_test.go.
 */
public final class GoldenFrames {
    private static final int OPAQUE = 77;
    private static final int VERSION = 479; // MQVersion.Version.V5_3_3
    private static final byte[] BODY = "hello, Grüße".getBytes(StandardCharsets.UTF_8);
    // The signature covers the body's bytes, so this one is written out.
    private static final byte[] HEARTBEAT =
        "{\"clientID\":\"10.1.2.3@4711#1\",\"producerDataSet\":[{\"groupName\":\"group-1\"}]}".getBytes(StandardCharsets.UTF_8);
    private static final String ID = "7F000001000A18B4AAC2000000000001";

    private GoldenFrames() {
    }

    public static void main(String[] args) throws Exception {
        requests();
        signed();
        responses();
        bodies();
        messages();
        traces();
        tenants();
        System.exit(0);
    }

    private static void requests() {
        both("send-v2", () -> request(310, sendHeader(false, null), BODY));
        both("send-v2-broker-name", () -> request(310, sendHeader(false, "broker-a"), BODY));
        both("send-v1", () -> {
            SendMessageRequestHeader h =
                SendMessageRequestHeaderV2.createSendMessageRequestHeaderV1(sendHeader(false, null));
            return request(10, h, BODY);
        });
        both("send-v2-oneway", () -> {
            RemotingCommand c = request(310, sendHeader(false, "broker-a"), BODY);
            c.markOnewayRPC();
            return c;
        });
        both("send-batch", () -> request(320, sendHeader(true, "broker-a"), MessageDecoder.encodeMessages(batch())));
        both("send-v2-no-properties", () -> {
            SendMessageRequestHeaderV2 h = sendHeader(false, null);
            h.setI(null);
            return request(310, h, BODY);
        });
        both("route", () -> {
            GetRouteInfoRequestHeader h = new GetRouteInfoRequestHeader();
            h.setTopic("orders");
            return request(105, h, null);
        });
        both("route-standard-json", () -> {
            GetRouteInfoRequestHeader h = new GetRouteInfoRequestHeader();
            h.setTopic("orders");
            h.setAcceptStandardJsonOnly(true);
            return request(105, h, null);
        });
        both("unregister", () -> {
            UnregisterClientRequestHeader h = new UnregisterClientRequestHeader();
            h.setClientID("10.1.2.3@4711#1");
            h.setProducerGroup("group-1");
            return request(35, h, null);
        });
        both("heartbeat", () -> request(34, null, heartbeat().encode()));
        both("end-transaction", () -> {
            // as DefaultMQProducerImpl.endTransaction does it, but for the one-way flag
            EndTransactionRequestHeader h = new EndTransactionRequestHeader();
            h.setTopic("orders");
            h.setTransactionId(ID);
            h.setCommitLogOffset(1234567890123L);
            h.setBrokerName("broker-a");
            h.setCommitOrRollback(8);
            h.setProducerGroup("group-1");
            h.setTranStateTableOffset(7L);
            h.setMsgId(ID);
            return request(37, h, null);
        });
        both("recall", () -> {
            // as DefaultMQProducerImpl.recallMessage does it
            RecallMessageRequestHeader h = new RecallMessageRequestHeader();
            h.setProducerGroup("group-1");
            h.setTopic("orders");
            h.setRecallHandle(recallHandle());
            h.setBrokerName("broker-a");
            return request(370, h, null);
        });
    }

    /** Requests as the hook for access control leaves them, which is the last one before the encoder. */
    private static void signed() {
        SessionCredentials plain = new SessionCredentials("accessKey-1", "secret-key-Größe");
        SessionCredentials temporary = new SessionCredentials("accessKey-1", "secret-key-Größe", "token-1");
        both("signed-send-v2", () -> sign(plain, request(310, sendHeader(false, "broker-a"), BODY)));
        both("signed-send-v2-token", () -> sign(temporary, request(310, sendHeader(false, "broker-a"), BODY)));
        both("signed-send-v2-oneway", () -> {
            RemotingCommand c = request(310, sendHeader(false, "broker-a"), BODY);
            c.markOnewayRPC();
            return sign(temporary, c);
        });
        both("signed-send-batch", () ->
            sign(plain, request(320, sendHeader(true, "broker-a"), MessageDecoder.encodeMessages(batch()))));
        both("signed-route", () -> {
            GetRouteInfoRequestHeader h = new GetRouteInfoRequestHeader();
            h.setTopic("orders");
            return sign(temporary, request(105, h, null));
        });
        both("signed-unregister", () -> {
            UnregisterClientRequestHeader h = new UnregisterClientRequestHeader();
            h.setClientID("10.1.2.3@4711#1");
            h.setProducerGroup("group-1");
            return sign(plain, request(35, h, null));
        });
        both("signed-heartbeat", () -> sign(temporary, request(34, null, HEARTBEAT)));
        both("signed-recall", () -> {
            RecallMessageRequestHeader h = new RecallMessageRequestHeader();
            h.setProducerGroup("group-1");
            h.setTopic("orders");
            h.setRecallHandle(recallHandle());
            h.setBrokerName("broker-a");
            return sign(temporary, request(370, h, null));
        });
    }

    private static RemotingCommand sign(SessionCredentials credentials, RemotingCommand c) {
        new AclClientRPCHook(credentials).doBeforeRequest("127.0.0.1:10911", c);
        return c;
    }

    /** Requests as all the hooks of a client leave them, and the ids of such clients. */
    private static void tenants() {
        ClientConfig plain = new ClientConfig();
        plain.setClientIP("10.1.2.3");
        plain.setInstanceName("4711#1");
        ClientConfig namespace = plain.cloneClientConfig();
        namespace.setNamespaceV2("tenant-a");
        ClientConfig unit = plain.cloneClientConfig();
        unit.setUnitMode(true);
        unit.setUnitName("unit-1");
        ClientConfig stream = plain.cloneClientConfig();
        stream.setEnableStreamRequestType(true);
        ClientConfig all = namespace.cloneClientConfig();
        all.setUnitMode(true);
        all.setUnitName("unit-1");
        all.setEnableStreamRequestType(true);
        RPCHook acl = new AclClientRPCHook(new SessionCredentials("accessKey-1", "secret-key-Größe"));

        tenant("plain", plain, null);
        tenant("namespace", namespace, null);
        tenant("unit", unit, null);
        tenant("stream", stream, null);
        tenant("signed", all, acl); // without a zone, see below
        zone("zone-1", null);
        tenant("zone", plain, null);
        zone("zone-1", "true");
        tenant("zone-mode", plain, null);
        tenant("all", all, null);
        // Java's client names the zone after it has signed, and servers, which check every field, refuse that. So here
        // the hook for access control is asked last.
        RPCHook zone = new DynamicalExtFieldRPCHook();
        tenant("signed-zone", all, new RPCHook() {
            @Override
            public void doBeforeRequest(String addr, RemotingCommand c) {
                zone.doBeforeRequest(addr, c);
                acl.doBeforeRequest(addr, c);
            }

            @Override
            public void doAfterResponse(String addr, RemotingCommand request, RemotingCommand response) {
            }
        });
        zone(null, null);
    }

    private static void zone(String name, String mode) {
        property("rocketmq.zone", name);
        property("rocketmq.zone.mode", mode);
    }

    private static void property(String name, String value) {
        if (value == null) {
            System.clearProperty(name);
        } else {
            System.setProperty(name, value);
        }
    }

    private static void tenant(String name, ClientConfig config, RPCHook access) {
        MQClientAPIImpl client = new MQClientAPIImpl(new NettyClientConfig(), null, access, config);
        List<RPCHook> hooks = ((NettyRemotingClient) client.getRemotingClient()).getRPCHook();
        String prefix = "tenant-" + name + "-";
        text(prefix + "client-id", config.buildMQClientId());
        // as DefaultMQProducerImpl.sendKernelImpl does it
        both(prefix + "send-v2", () -> hooked(hooks, request(310, inUnit(config, sendHeader(false, "broker-a")), BODY)));
        both(prefix + "send-v1", () -> hooked(hooks, request(10,
            SendMessageRequestHeaderV2.createSendMessageRequestHeaderV1(inUnit(config, sendHeader(false, null))), BODY)));
        both(prefix + "send-batch", () -> hooked(hooks,
            request(320, inUnit(config, sendHeader(true, "broker-a")), MessageDecoder.encodeMessages(batch()))));
        both(prefix + "route", () -> {
            GetRouteInfoRequestHeader h = new GetRouteInfoRequestHeader();
            h.setTopic("orders");
            return hooked(hooks, request(105, h, null));
        });
        both(prefix + "unregister", () -> {
            UnregisterClientRequestHeader h = new UnregisterClientRequestHeader();
            h.setClientID("10.1.2.3@4711#1");
            h.setProducerGroup("group-1");
            return hooked(hooks, request(35, h, null));
        });
        both(prefix + "heartbeat", () -> hooked(hooks, request(34, null, HEARTBEAT)));
    }

    private static SendMessageRequestHeaderV2 inUnit(ClientConfig config, SendMessageRequestHeaderV2 header) {
        header.setK(config.isUnitMode());
        return header;
    }

    private static RemotingCommand hooked(List<RPCHook> hooks, RemotingCommand c) {
        for (RPCHook hook : hooks) {
            hook.doBeforeRequest("127.0.0.1:10911", c);
        }
        return c;
    }

    private static String recallHandle() {
        return RecallMessageHandle.HandleV1.buildHandle("orders", "broker-a", "1700000000001", ID);
    }

    private static void responses() {
        both("send-ok", () -> {
            SendMessageResponseHeader h = new SendMessageResponseHeader();
            h.setMsgId("7F00000100002A9F0000000000000ABC");
            h.setQueueId(3);
            h.setQueueOffset(1234567890123L);
            RemotingCommand c = response(0, null, h);
            c.addExtField("MSG_REGION", "DefaultRegion");
            c.addExtField("TRACE_ON", "true");
            return c;
        });
        both("send-ok-all-fields", () -> {
            SendMessageResponseHeader h = new SendMessageResponseHeader();
            h.setMsgId("7F00000100002A9F0000000000000ABC");
            h.setQueueId(0);
            h.setQueueOffset(0L);
            h.setTransactionId(ID);
            h.setBatchUniqId(ID);
            h.setRecallHandle("djEgb3JkZXJzIGJyb2tlci1hIDEgMg==");
            return response(0, null, h);
        });
        both("send-flush-disk-timeout", () -> {
            SendMessageResponseHeader h = new SendMessageResponseHeader();
            h.setMsgId("7F00000100002A9F0000000000000ABC");
            h.setQueueId(1);
            h.setQueueOffset(9L);
            return response(10, null, h);
        });
        both("recall-ok", () -> {
            // as RecallMessageProcessor does it, which leaves the remark of a new answer in place
            RecallMessageResponseHeader h = new RecallMessageResponseHeader();
            h.setMsgId(ID);
            RemotingCommand c = response(0, "not set any response code", h);
            c.addExtField("MSG_REGION", "DefaultRegion");
            return c;
        });
        both("system-busy", () -> response(2, "[TIMEOUT_CLEAN_QUEUE]broker busy, period in queue: 206ms, größer", null));
        both("topic-not-exist", () -> response(17, "No topic route info in name server for the topic: orders", null));
        both("route-answer", () -> {
            RemotingCommand c = response(0, null, null);
            c.setBody(route().encode());
            return c;
        });
        both("route-answer-standard-json", () -> {
            RemotingCommand c = response(0, null, null);
            // as ClientRequestProcessor of the name server encodes it for clients from 4.9.4 on
            c.setBody(route().encode(SerializerFeature.BrowserCompatible, SerializerFeature.QuoteFieldNames,
                SerializerFeature.SkipTransientField, SerializerFeature.MapSortField));
            return c;
        });
    }

    private static void bodies() {
        print("heartbeat-body", heartbeat().encode());
        print("route-body", route().encode());
        text("recall-handle", recallHandle());
        text("recall-handle-utf8", RecallMessageHandle.HandleV1.buildHandle("orders", "broker-a", "1", "größe-\u07ff"));
        print("properties", MessageDecoder.messageProperties2String(properties()).getBytes(StandardCharsets.UTF_8));
        print("message", MessageDecoder.encodeMessage(batch().get(0)));
        print("messages", MessageDecoder.encodeMessages(batch()));
    }

    private static void messages() throws Exception {
        print("stored", MessageDecoder.encode(stored(false), false));
        print("stored-ipv6", MessageDecoder.encode(stored(true), false));
        MessageExt zlib = stored(false);
        zlib.setSysFlag(0x301);
        print("stored-zlib", MessageDecoder.encode(zlib, true));
        text("message-id-ipv4", MessageDecoder.createMessageId(new InetSocketAddress("10.20.30.40", 10911), 0xABCDEF0123L));
        text("message-id-ipv6", MessageDecoder.createMessageId(
            new InetSocketAddress(InetAddress.getByName("2001:db8::1"), 10911), 5L));
    }

    private static SendMessageRequestHeaderV2 sendHeader(boolean batch, String broker) {
        SendMessageRequestHeader h = new SendMessageRequestHeader();
        h.setProducerGroup("group-1");
        h.setTopic("orders");
        h.setDefaultTopic("TBW102");
        h.setDefaultTopicQueueNums(4);
        h.setQueueId(7);
        h.setSysFlag(0x301);
        h.setBornTimestamp(1700000000123L);
        h.setFlag(42);
        h.setProperties(MessageDecoder.messageProperties2String(properties()));
        h.setReconsumeTimes(0);
        h.setUnitMode(false);
        h.setBatch(batch);
        if (broker != null) {
            h.setBrokerName(broker);
        }
        // as MQClientAPIImpl.sendMessage does it
        return SendMessageRequestHeaderV2.createSendMessageRequestHeaderV2(h);
    }

    private static Map<String, String> properties() {
        Map<String, String> p = new LinkedHashMap<>();
        p.put("UNIQ_KEY", ID);
        p.put("TAGS", "paid");
        p.put("KEYS", "k1 k2");
        p.put("WAIT", "true");
        p.put("city", "Zürich");
        return p;
    }

    private static List<Message> batch() {
        List<Message> list = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            Message m = new Message("orders", ("body-" + i).getBytes(StandardCharsets.UTF_8));
            m.setFlag(i);
            Map<String, String> p = new LinkedHashMap<>();
            p.put("UNIQ_KEY", ID.substring(0, ID.length() - 1) + i);
            p.put("TAGS", "t" + i);
            MessageAccessor.setProperties(m, p);
            list.add(m);
        }
        return list;
    }

    private static HeartbeatData heartbeat() {
        HeartbeatData d = new HeartbeatData();
        d.setClientID("10.1.2.3@4711#1");
        ProducerData p = new ProducerData();
        p.setGroupName("group-1");
        d.getProducerDataSet().add(p);
        return d;
    }

    private static TopicRouteData route() {
        TopicRouteData r = new TopicRouteData();
        List<QueueData> queues = new ArrayList<>();
        List<BrokerData> brokers = new ArrayList<>();
        int port = 10911;
        for (String name : new String[] {"broker-a", "broker-b"}) {
            QueueData q = new QueueData();
            q.setBrokerName(name);
            q.setReadQueueNums(8);
            q.setWriteQueueNums(4);
            q.setPerm(6);
            queues.add(q);
            HashMap<Long, String> addrs = new HashMap<>();
            addrs.put(0L, "127.0.0.1:" + port);
            addrs.put(1L, "127.0.0.1:" + (port + 10));
            brokers.add(new BrokerData("DefaultCluster", name, addrs));
            port += 100;
        }
        r.setQueueDatas(queues);
        r.setBrokerDatas(brokers);
        r.setFilterServerTable(new HashMap<>());
        r.setOrderTopicConf("broker-a:4;broker-b:4");
        return r;
    }

    private static MessageExt stored(boolean v6) throws Exception {
        MessageExt m = new MessageExt();
        m.setTopic("orders");
        m.setBody("a stored body, stored as it was sent, stored".getBytes(StandardCharsets.UTF_8));
        m.setBodyCRC(UtilAll.crc32(m.getBody()));
        m.setFlag(42);
        m.setQueueId(3);
        m.setQueueOffset(17L);
        m.setCommitLogOffset(0x1234L);
        m.setSysFlag(0);
        m.setBornTimestamp(1700000000123L);
        m.setStoreTimestamp(1700000000456L);
        m.setReconsumeTimes(2);
        m.setPreparedTransactionOffset(5L);
        if (v6) {
            m.setBornHost(new InetSocketAddress(InetAddress.getByName("2001:db8::2"), 5555));
            m.setStoreHost(new InetSocketAddress(InetAddress.getByName("2001:db8::1"), 10911));
            m.setBornHostV6Flag();
            m.setStoreHostAddressV6Flag();
        } else {
            m.setBornHost(new InetSocketAddress("10.1.2.3", 5555));
            m.setStoreHost(new InetSocketAddress("10.20.30.40", 10911));
        }
        MessageAccessor.setProperties(m, properties());
        return m;
    }

    /** Records of the message trace, with all fields and with those that Java leaves null. */
    private static void traces() {
        for (boolean full : new boolean[] {true, false}) {
            for (TraceType type : new TraceType[] {TraceType.Pub, TraceType.EndTransaction, TraceType.Recall}) {
                TraceBean bean = new TraceBean();
                bean.setTopic("orders");
                bean.setMsgId(ID);
                bean.setTags(full ? "paid" : null);
                bean.setKeys(full ? "k1 größe" : null);
                bean.setStoreHost("10.20.30.40:10911");
                bean.setBodyLength(15);
                bean.setMsgType(type == TraceType.EndTransaction ? MessageType.Trans_msg_Commit
                    : full ? MessageType.Trans_Msg_Half : MessageType.Delay_Msg);
                bean.setOffsetMsgId(full ? "7F00000100002A9F0000000000000ABC" : "");
                bean.setTransactionId(full ? ID : null);
                bean.setTransactionState(full ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.UNKNOW);
                bean.setFromTransactionCheck(full);
                TraceContext context = new TraceContext();
                context.setTraceType(type);
                context.setTimeStamp(1700000000123L);
                context.setRegionId("DefaultRegion");
                context.setGroupName("group-1");
                context.setCostTime(full ? 17 : 0);
                context.setSuccess(full);
                context.setTraceBeans(List.of(bean));
                print("trace-" + type + (full ? "" : "-bare"),
                    TraceDataEncoder.encoderFromContextBean(context).getTransData().getBytes(StandardCharsets.UTF_8));
            }
        }
    }

    private interface Maker {
        RemotingCommand make() throws Exception;
    }

    private static RemotingCommand request(int code, CommandCustomHeader header, byte[] body) {
        RemotingCommand c = RemotingCommand.createRequestCommand(code, header);
        c.setOpaque(OPAQUE);
        c.setVersion(VERSION);
        c.setLanguage(LanguageCode.GO); // so that whole frames can be compared with ours
        c.setBody(body);
        return c;
    }

    private static RemotingCommand response(int code, String remark, CommandCustomHeader header) {
        RemotingCommand c = RemotingCommand.createResponseCommandWithHeader(code, header);
        c.setRemark(remark);
        c.setOpaque(OPAQUE);
        c.setVersion(VERSION);
        return c;
    }

    /** Makes the command anew for each serialization, since encoding fills its ext fields. */
    private static void both(String name, Maker maker) {
        for (SerializeType type : SerializeType.values()) {
            try {
                RemotingCommand c = maker.make();
                c.setSerializeTypeCurrentRPC(type);
                ByteBuf out = Unpooled.buffer();
                c.fastEncodeHeader(out);
                if (c.getBody() != null) {
                    out.writeBytes(c.getBody());
                }
                byte[] bytes = new byte[out.readableBytes()];
                out.readBytes(bytes);
                print(name + "." + type.name().toLowerCase(), bytes);
            } catch (Exception e) {
                throw new IllegalStateException(name, e);
            }
        }
    }

    private static void print(String name, byte[] bytes) {
        System.out.println(name + " " + HexFormat.of().formatHex(bytes));
    }

    private static void text(String name, String text) {
        print(name, text.getBytes(StandardCharsets.US_ASCII));
    }
}
