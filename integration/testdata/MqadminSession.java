import java.io.BufferedReader;
import java.io.InputStreamReader;

import org.apache.rocketmq.tools.command.MQAdminStartup;

/** Runs mqadmin's commands in one process: a line with tabs for each, and after its output a line that says so. */
public final class MqadminSession {
    public static void main(String[] none) throws Exception {
        System.setErr(System.out);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null;) {
            MQAdminStartup.main0(line.split("\t"), null);
            System.out.println("\n-- end of the command --");
        }
        System.exit(0); // the tool leaves threads behind
    }
}
