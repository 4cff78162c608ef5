/** Settings kept by the engine, the theme they lead to, and what this window remembers by itself. */
import { defineStore } from "pinia";
import { computed, shallowRef, watchEffect } from "vue";
import type { Settings } from "../../common/contract/index.ts";
import { useEngine } from "./engine.ts";

const KEY = "drydock.theme";

export const useSettings = defineStore("settings", () => {
  const engine = useEngine();
  const remembered = localStorage.getItem(KEY);
  const settings = shallowRef<Settings>({
    theme: remembered === "light" || remembered === "dark" ? remembered : "system",
    keepRunning: true,
  });
  const systemDark = shallowRef(matchMedia("(prefers-color-scheme: dark)").matches);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
    systemDark.value = event.matches;
  });
  const dark = computed(() => (settings.value.theme === "system" ? systemDark.value : settings.value.theme === "dark"));

  watchEffect(() => {
    document.documentElement.classList.toggle("dark", dark.value);
    document.documentElement.style.colorScheme = dark.value ? "dark" : "light";
  });

  async function load(): Promise<void> {
    const client = await engine.client();
    apply(await client.system.settings());
  }

  function apply(value: Settings): void {
    settings.value = value;
    // The next window knows its colours before the engine answers.
    localStorage.setItem(KEY, value.theme);
  }

  return {
    settings: computed(() => settings.value),
    dark,
    load,
    async update(patch: Partial<Settings>) {
      apply({ ...settings.value, ...patch });
      const client = await engine.client();
      apply(await client.system.updateSettings(patch));
    },
  };
});
