/** The `drydock` command: every subcommand with its options, help and examples. Work is loaded when it is asked for. */
import { Command, InvalidArgumentError, Option } from "commander";
import { version } from "../host/version.ts";
import { EXIT_HELP } from "./exit.ts";

const example = (...lines: string[]): string => `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}`;
const json = (): Option => new Option("-o, --output <format>", "print data for programs").choices(["json"]);
const inCluster = (): Option => new Option("-c, --cluster <name>", "the cluster, where it is not clear");

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("not a whole number.");
  return Number(text);
}

/** An option that may be given more than once. */
function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

/** 2048, 2048M, 2048MiB, 2G, 2GiB → MiB. */
export function mebibytesOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(m|mi|mib|g|gi|gib)?$/i.exec(text);
  if (!match) throw new InvalidArgumentError("say how much, e.g. 1024M or 2G.");
  const unit = (match[2] ?? "m").toLowerCase();
  return Math.round(Number(match[1]) * (unit.startsWith("g") ? 1024 : 1));
}

/** 20, 20G, 20GiB → GiB. */
export function gibibytesOf(text: string): number {
  const match = /^(\d+)\s*(g|gi|gib)?$/i.exec(text);
  if (!match) throw new InvalidArgumentError("say how many GiB, e.g. 20G.");
  return Number(match[1]);
}

export function program(): Command {
  const root = new Command("drydock")
    .description("A real multi-node Kubernetes cluster on this computer: every node a virtual machine.")
    .version(version)
    .showHelpAfterError("(--help shows what there is)")
    .addHelpText(
      "after",
      `${example("drydock up                      a cluster of one master and two workers", "drydock ui                      the window, in a browser", "drydock down && drydock up      stop it and bring it back as it was")}\n${EXIT_HELP}`,
    );
  addClusterCommands(root);
  addExplain(root);
  addNodeCommands(root);
  addImageCommands(root);
  addDockerEnv(root);
  addEngineCommands(root);
  addControlPlane(root);
  return root;
}

function addClusterCommands(root: Command): void {
  root
    .command("up")
    .argument("[name]", "the cluster's name: a DNS label", undefined)
    .description("create a cluster, or start it again; ends when all its nodes are Ready")
    .option("--masters <count>", "masters (default 1)", whole)
    .option("--workers <count>", "workers (default 2)", whole)
    .option("--cpus <count>", "CPUs of each node (default 2)", whole)
    .option("--memory <size>", "memory of each node (default 1G)", mebibytesOf)
    .option("--disk <size>", "disk of each node (default 20G)", gibibytesOf)
    .addOption(
      new Option("--driver <name>", "how nodes are made (default qemu)").choices(["qemu", "lima", "simulated"]),
    )
    .addOption(
      new Option("--accel <name>", "what runs the machines (default auto)").choices(["auto", "kvm", "hvf", "tcg"]),
    )
    .option("--simulation <file>", "how simulated nodes and their Pods behave (docs/simulated-nodes.md)")
    .option(
      "--mount <host:node[:rw]>",
      "a folder of this computer on every node, for hostPath volumes; read-only without :rw; may be repeated",
      collect,
      [],
    )
    .addOption(json())
    .addHelpText(
      "after",
      example(
        "drydock up",
        "drydock up lab --workers 3 --memory 2G",
        "drydock up web --mount ./site:/site --mount ./uploads:/uploads:rw",
        "drydock up big --driver simulated --workers 1000",
      ) + EXIT_HELP,
    )
    .action(async (name: string | undefined, options) => (await import("./clusters.ts")).up(name, options));
  root
    .command("down")
    .argument("[name]")
    .description("stop a cluster; `up` brings back the same nodes, objects and Pods")
    .addHelpText("after", example("drydock down", "drydock down lab"))
    .action(async (name: string | undefined) => (await import("./clusters.ts")).down(name));
  root
    .command("delete")
    .argument("[name]")
    .description("delete a cluster with everything in it")
    .option("-y, --yes", "do not ask")
    .addHelpText("after", example("drydock delete lab --yes"))
    .action(async (name: string | undefined, options) => (await import("./clusters.ts")).remove(name, options));
  root
    .command("list")
    .alias("ls")
    .description("all clusters")
    .addOption(json())
    .addHelpText("after", example("drydock list", "drydock list -o json"))
    .action(async (options) => (await import("./clusters.ts")).list(options));
  root
    .command("status")
    .argument("[name]")
    .description("one cluster: its nodes, machines, ports and failures")
    .addOption(json())
    .addHelpText("after", example("drydock status", "drydock status lab -o json"))
    .action(async (name: string | undefined, options) => (await import("./clusters.ts")).status(name, options));
  root
    .command("kubeconfig")
    .argument("[name]")
    .description("the path of the cluster's kubeconfig")
    .option("--merge", "add it to ~/.kube/config (or the first file of $KUBECONFIG) as context drydock-NAME")
    .addOption(json())
    .addHelpText("after", example("export KUBECONFIG=$(drydock kubeconfig)", "drydock kubeconfig lab --merge"))
    .action(async (name: string | undefined, options) => (await import("./clusters.ts")).kubeconfig(name, options));
  root
    .command("trust")
    .argument("[name]")
    .description(
      "make this computer trust the cluster's authority, so that browsers show its Ingresses without a warning",
    )
    .option("--undo", "take it back")
    .addOption(json())
    .addHelpText("after", example("drydock trust", "drydock trust lab --undo"))
    .action(async (name: string | undefined, options) => (await import("./trust.ts")).trust(name, options));
  root
    .command("tunnel")
    .argument("<service>")
    .description("open a port of this computer that leads to a Service, until Ctrl-C")
    .option("-n, --namespace <name>", "the Service's namespace", "default")
    .option("-p, --port <port>", "its port, by number or name (default: the first)")
    .option("--host-port <port>", "the port to open here; 0: any", whole, 0)
    .addOption(inCluster())
    .addHelpText("after", example("drydock tunnel hello", "drydock tunnel web -n shop -p http --host-port 8080"))
    .action(async (service: string, options) => (await import("./others.ts")).tunnel(service, options));
}

function addExplain(root: Command): void {
  root
    .command("explain")
    .argument("<object>", "KIND/NAME, e.g. pod/web-1")
    .description("why a Pod is where it is or nowhere, what would help it; who changed an object because of what")
    .option("-n, --namespace <name>", "the object's namespace", "default")
    .addOption(new Option("-o, --output <format>", "print data for programs").choices(["json", "yaml"]))
    .addOption(inCluster())
    .addHelpText(
      "after",
      example("drydock explain pod/web-1", "drydock explain deployment/web -n shop -o yaml") + EXIT_HELP,
    )
    .action(async (object: string, options) => (await import("./explain.ts")).explain(object, options));
}

function addNodeCommands(root: Command): void {
  root
    .command("shell")
    .argument("<node>", "its name, or the end of it: worker-1")
    .argument("[command...]", "a command to run there, after --, in place of a shell")
    .description("a login shell on a node, or one command there")
    .addOption(inCluster())
    .addHelpText(
      "after",
      `${example("drydock shell worker-1", "drydock shell worker-1 -- docker ps", "drydock shell worker-1 -- sh -c 'dmesg | tail' >dmesg.txt", "tar c site | drydock shell worker-1 -- tar x -C /srv")}

A command has a terminal where input and output of this one are terminals; else input, output and errors pass
as they are. The exit code is the command's.`,
    )
    .action(async (node: string, command: string[], options) =>
      (await import("./shell.ts")).shell(node, command, options),
    );
  root
    .command("logs")
    .argument("[node]", 'a node, or "engine" (the default)')
    .description("the log of a node's agent, of its console, or of the engine")
    .option("-f, --follow", "go on as lines come")
    .option("-n, --lines <count>", "how many of the last lines", whole, 200)
    .option("--console", "what the machine printed, in place of its agent's log")
    .addOption(inCluster())
    .addHelpText("after", example("drydock logs engine -f", "drydock logs worker-1", "drydock logs worker-1 --console"))
    .action(async (node: string | undefined, options) => (await import("./nodes.ts")).logs(node, options));
  const node = root.command("node").description("add, remove, start, stop and change single nodes");
  node
    .command("add")
    .argument("[cluster]")
    .description("add workers to a running cluster; ends when they are Ready")
    .option("--count <count>", "how many", whole, 1)
    .option("--cpus <count>", "their CPUs (default: as the others)", whole)
    .option("--memory <size>", "their memory", mebibytesOf)
    .option("--disk <size>", "their disk", gibibytesOf)
    .addOption(inCluster())
    .addHelpText("after", example("drydock node add", "drydock node add lab --count 2 --memory 2G"))
    .action(async (name: string | undefined, options) => (await import("./nodes.ts")).nodeAdd(name, options));
  node
    .command("remove")
    .argument("<name>")
    .description("drain a worker (budgets are kept to), then delete its Node and its machine")
    .option("--force", "do not drain: Pods, and data on its disk, are lost")
    .option("--timeout <seconds>", "how long its Pods may take to leave", whole, 300)
    .addOption(inCluster())
    .addHelpText("after", example("drydock node remove worker-3", "drydock node remove worker-3 --force"))
    .action(async (name: string, options) => (await import("./nodes.ts")).nodeRemove(name, options));
  node
    .command("set")
    .argument("<name>")
    .description("change a node's machine: the disk grows at once, the rest at its next start")
    .option("--cpus <count>", "CPUs", whole)
    .option("--memory <size>", "memory", mebibytesOf)
    .option("--disk <size>", "disk; only grows", gibibytesOf)
    .option("--restart", "restart the node now, so that everything is in effect")
    .addOption(inCluster())
    .addHelpText(
      "after",
      example("drydock node set worker-1 --memory 4G --restart", "drydock node set worker-1 --disk 40G"),
    )
    .action(async (name: string, options) => (await import("./nodes.ts")).nodeSet(name, options));
  node
    .command("start")
    .argument("<name>")
    .description("start a node's machine and wait until it is Ready")
    .addOption(inCluster())
    .addHelpText("after", example("drydock node start worker-1"))
    .action(async (name: string, options) => (await import("./nodes.ts")).nodeStart(name, options));
  node
    .command("stop")
    .argument("<name>")
    .description("shut a node's machine down")
    .option("--force", "switch it off, as a power cut would")
    .addOption(inCluster())
    .addHelpText("after", example("drydock node stop worker-1", "drydock node stop worker-1 --force"))
    .action(async (name: string, options) => (await import("./nodes.ts")).nodeStop(name, options));
}

function addImageCommands(root: Command): void {
  const image = root.command("image").description("the node image, and container images on nodes");
  image
    .command("build")
    .argument("[folder]", "a folder with a Dockerfile; without one the node image is built")
    .description("build a container image with a node's Docker, or (without a folder) the node image")
    .option("--rebuild", "the node image: build it even when it is there")
    .option("-t, --tag <name>", "the container image's name; may be repeated", collect, [])
    .option("-f, --file <path>", "the Dockerfile, in the folder", "Dockerfile")
    .option("--build-arg <name=value>", "a build argument; may be repeated", collect, [])
    .option("--target <stage>", "stop at this stage")
    .option("--no-cache", "do every step anew")
    .option("--node <name>", "the node that builds (default: a worker)")
    .option("--no-spread", "leave it on that node, do not copy it to the others")
    .addOption(inCluster())
    .addHelpText(
      "after",
      example(
        "drydock image build . -t my-app:1",
        "drydock image build app -t my-app:1 -f deploy/Dockerfile --build-arg VERSION=2",
        "drydock image build              the node image, when it is missing",
      ),
    )
    .action(async (folder: string | undefined, options) => (await import("./images.ts")).imageBuild(folder, options));
  image
    .command("pull")
    .argument("<image>", "e.g. nginx:1.27 or localhost:5000/my-app:1")
    .description("pull an image onto every node, each layer from its registry only once")
    .option("--node <name>", "only onto this node; may be repeated", collect, [])
    .addOption(inCluster())
    .addHelpText(
      "after",
      example("drydock image pull nginx:1.27", "drydock image pull ghcr.io/me/app:1 --node worker-1"),
    )
    .action(async (name: string, options) => (await import("./images.ts")).imagePull(name, options));
  image
    .command("push")
    .argument("<image>", "e.g. localhost:5000/my-app:1")
    .description("push an image from a node that has it to its registry")
    .option("--node <name>", "from this node (default: the first that has it)")
    .addOption(inCluster())
    .addHelpText("after", example("drydock image push localhost:5000/my-app:1"))
    .action(async (name: string, options) => (await import("./images.ts")).imagePush(name, options));
  image
    .command("prune")
    .argument("[cluster]")
    .description("remove images that no container uses from the nodes")
    .option("--cache", "empty the cache that nodes pull through, and leave the nodes alone")
    .addOption(json())
    .addHelpText("after", example("drydock image prune", "drydock image prune --cache"))
    .action(async (name: string | undefined, options) => (await import("./images.ts")).imagePrune(name, options));
  image
    .command("cache")
    .description("the cache that all nodes pull through: how much is in it, and where registries are set")
    .addOption(json())
    .addHelpText("after", example("drydock image cache"))
    .action(async (options) => (await import("./images.ts")).imageCache(options));
  image
    .command("list")
    .argument("[cluster]")
    .description("container images on the nodes of a cluster")
    .addOption(json())
    .addHelpText("after", example("drydock image list", "drydock image list lab -o json"))
    .action(async (name: string | undefined, options) => (await import("./images.ts")).imageList(name, options));
  image
    .command("load")
    .argument("<cluster-or-file>")
    .argument("[file]", "an archive made by `docker save`")
    .description("load container images from an archive into every node")
    .addOption(json())
    .addHelpText(
      "after",
      example(
        "docker save my-app:1 -o my-app.tar && drydock image load my-app.tar",
        "drydock image load lab my-app.tar",
      ),
    )
    .action(async (first: string, second: string | undefined, options) =>
      (await import("./images.ts")).imageLoad(first, second, options),
    );
}

function addDockerEnv(root: Command): void {
  root
    .command("docker-env")
    .argument("[node]", "its name, or the end of it (default: a worker)")
    .description("lines for your shell that point the docker command at a node's Docker")
    .option("--unset", "lines that take it back")
    .addOption(inCluster())
    .addHelpText(
      "after",
      example('eval "$(drydock docker-env worker-1)" && docker ps', 'eval "$(drydock docker-env --unset)"'),
    )
    .action(async (node: string | undefined, options) => (await import("./images.ts")).dockerEnv(node, options));
}

function addEngineCommands(root: Command): void {
  root
    .command("ui")
    .description("print a link that opens the window in a browser")
    .addHelpText("after", example("drydock ui"))
    .action(async () => (await import("./others.ts")).ui());
  const engine = root.command("engine").description("the background process that owns the clusters");
  engine
    .command("status")
    .description("what the engine knows of itself and this computer")
    .addOption(json())
    .addHelpText("after", example("drydock engine status -o json"))
    .action(async (options) => (await import("./others.ts")).engineStatus(options));
  engine
    .command("stop")
    .description("stop the engine, and its clusters first")
    .option("--keep-clusters", "leave the machines running for the next engine to take up")
    .addHelpText("after", example("drydock engine stop", "drydock engine stop --keep-clusters"))
    .action(async (options) => (await import("./others.ts")).engineStop(options));
  engine
    .command("run")
    .description("run the engine in the foreground")
    .addHelpText("after", example("drydock engine run"))
    .action(async () => (await import("./others.ts")).engineRun());
}

function addControlPlane(root: Command): void {
  root
    .command("control-plane")
    .description("just a control plane, in the foreground; prints `ready` when it serves")
    .argument("[words...]", "snapshot save|restore|status FILE: copies of its store")
    .option("--data <folder>", "where it keeps its data")
    .option("--port <port>", "port on 127.0.0.1 (default 6443; 0: any)", whole)
    .option("--kubeconfig <file>", "where it writes an administrator's kubeconfig (default: in the data folder)")
    .option("--log-level <level>", "debug, info, warn (the default), error or silent")
    .option("--simulated-nodes <count>", "nodes that only pretend: a number, or names with commas")
    .option("--simulation <file>", "how simulated nodes and their Pods behave (docs/simulated-nodes.md)")
    .option("--advertise-address <address>", "how nodes reach this computer")
    .option("--kubelet-egress <socket>", "reach kubelets by HTTP CONNECT on this socket (unix:PATH)")
    .option("--scheduler-config <file>", "a KubeSchedulerConfiguration: profiles, weights, arguments")
    .option("--exit-with-parent", "end when standard input ends")
    .addHelpText(
      "after",
      example(
        "drydock control-plane --data ./data --port 6443 --kubeconfig ./kubeconfig",
        "drydock control-plane --data /tmp/cp --kubeconfig /tmp/kc --simulated-nodes 100",
        "drydock control-plane snapshot save ./before.db --data ./data",
      ),
    )
    .allowUnknownOption()
    .action(async () => {
      // The control plane parses its own arguments: it also runs alone, without this command.
      const { controlPlaneMain } = await import("./control-plane.ts");
      await controlPlaneMain(process.argv.slice(process.argv.indexOf("control-plane") + 1));
    });
}
