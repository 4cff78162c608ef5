/** What Pods have left on a node: containers, cgroups, mounts, interfaces, routes, rules, files. Equal before and after, or it leaks. */
import type { Lab } from "../tools/lab.ts";

/** One line a thing; sandboxes that wait for Pods, and what belongs to them, come and go and are left out. */
const SCRIPT = `
pool=$(docker ps -aq --no-trunc --filter name=pool | cut -c1-12)
known() { for id in $pool; do case "$1" in *$id*) return 0;; esac; done; return 1; }
docker ps -a --format 'container {{.Names}}' | grep -v pool
for one in /sys/fs/cgroup/kubepods/pod*; do [ -d "$one" ] && echo "cgroup $one"; done
grep -o ' /[^ ]*drydock/pods[^ ]*' /proc/self/mountinfo | sort -u | sed 's/^/mount/'
for one in $(ip -o link | grep -o 'dk[0-9a-f]*'); do known $one || echo "interface $one"; done
ip -4 route | grep ' dev dk' | while read -r to rest; do known "$rest" || echo "route $to"; done
ls /var/lib/drydock/pods /run/drydock/pods 2>/dev/null | grep -v : | grep . | sort -u | sed 's/^/folder /'
losetup -n -O BACK-FILE 2>/dev/null | sed 's/^/loop /'
nft list ruleset | grep -c . | sed 's/^/rules /'
`;

export async function remains(lab: Lab, node: string): Promise<string[]> {
  return (await lab.shell(node, SCRIPT)).split("\n").filter(Boolean).toSorted();
}
