package liftoff.bench;

import com.sun.management.ThreadMXBean;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.HdrHistogram.ConcurrentHistogram;
import org.HdrHistogram.Histogram;

/** Counts outcomes, and measures one window of them. */
final class Meter {
    private static final long SLOWEST = 60_000_000; // microseconds

    private final AtomicLong accepted = new AtomicLong();
    private final AtomicLong failed = new AtomicLong();
    private final AtomicReference<Throwable> first = new AtomicReference<>();
    private volatile Histogram took = histogram();
    private volatile boolean stopped;

    private static Histogram histogram() {
        return new ConcurrentHistogram(1, SLOWEST, 3);
    }

    boolean stopped() {
        return stopped;
    }

    void stop() {
        stopped = true;
    }

    void ok(int messages, long sinceNanos) {
        accepted.addAndGet(messages);
        long micros = (System.nanoTime() - sinceNanos) / 1000;
        took.recordValue(Math.min(Math.max(micros, 1), SLOWEST));
    }

    void fail(Throwable why) {
        failed.incrementAndGet();
        first.compareAndSet(null, why);
    }

    private long startAccepted;
    private long startNanos;
    private long startBytes;
    private long startCollections;
    private long messages;
    private double seconds;
    private double bytes;
    private long collections;
    private Histogram window;

    void begin() {
        startBytes = allocated();
        startCollections = collections();
        System.out.println("begin");
        took = histogram();
        startAccepted = accepted.get();
        startNanos = System.nanoTime();
    }

    void end() {
        messages = accepted.get() - startAccepted;
        seconds = (System.nanoTime() - startNanos) / 1e9;
        System.out.println("end");
        window = took;
        bytes = allocated() - startBytes;
        collections = collections() - startCollections;
    }

    /** Bytes taken from the heap by the threads that are alive. The client keeps its threads. */
    private static long allocated() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long sum = 0;
        for (long n : threads.getThreadAllocatedBytes(threads.getAllThreadIds())) {
            sum += Math.max(n, 0);
        }
        return sum;
    }

    private static long collections() {
        long sum = 0;
        for (GarbageCollectorMXBean gc : ManagementFactory.getGarbageCollectorMXBeans()) {
            sum += gc.getCollectionCount();
        }
        return sum;
    }

    String json() {
        String failure = "";
        if (first.get() != null) {
            failure = ",\"failure\":\"" + first.get().toString().replaceAll("[^ -~]|[\"\\\\]", "?") + "\"";
        }
        return String.format(java.util.Locale.ROOT,
            "{\"messages\":%d,\"seconds\":%f,\"accepted\":%d,\"failed\":%d%s,\"p50\":%d,\"p99\":%d,\"p999\":%d,\"max\":%d,"
                + "\"allocs\":-1,\"bytes\":%f,\"gcs\":%d}",
            messages, seconds, accepted.get(), failed.get(), failure, window.getValueAtPercentile(50),
            window.getValueAtPercentile(99), window.getValueAtPercentile(99.9), window.getMaxValue(),
            bytes / Math.max(messages, 1), collections);
    }
}
