/** Manifests to begin with: the repository's own examples. */
const FILES = import.meta.glob<string>("../../examples/*.yaml", { query: "?raw", import: "default", eager: true });

const TITLES: Record<string, string> = { hello: "Hello, three replicas", guestbook: "A guestbook in several tiers" };

export const EXAMPLES: { title: string; text: string }[] = Object.entries(FILES)
  .map(([path, text]) => ({ name: path.replace(/^.*\/|\.yaml$/g, ""), text }))
  .toSorted((a, b) => Object.keys(TITLES).indexOf(a.name) - Object.keys(TITLES).indexOf(b.name))
  .map(({ name, text }) => ({ title: TITLES[name] ?? name, text }));
