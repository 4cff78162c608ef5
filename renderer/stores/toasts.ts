/** Short messages at the edge of the window: what just worked, and failures that have no place of their own. */
import { defineStore } from "pinia";
import { shallowRef } from "vue";
import type { Failure } from "../../common/contract/index.ts";
import { toFailure } from "../engine/failure.ts";

export interface Toast {
  id: number;
  tone: "ok" | "bad";
  title: string;
  detail?: string;
}

const SHOWN_MS = 5_000;
const FAILURE_SHOWN_MS = 15_000;

export const useToasts = defineStore("toasts", () => {
  const toasts = shallowRef<Toast[]>([]);
  let next = 0;

  function show(toast: Omit<Toast, "id">): void {
    next += 1;
    const id = next;
    toasts.value = [...toasts.value.slice(-3), { ...toast, id }];
    setTimeout(() => dismiss(id), toast.tone === "bad" ? FAILURE_SHOWN_MS : SHOWN_MS);
  }
  function dismiss(id: number): void {
    toasts.value = toasts.value.filter((toast) => toast.id !== id);
  }
  function failure(error: unknown, title = "That did not work"): Failure {
    const found = toFailure(error);
    show({ tone: "bad", title, detail: `${found.message} ${found.advice}` });
    return found;
  }

  return {
    toasts,
    dismiss,
    failure,
    ok: (title: string, detail?: string) => show({ tone: "ok", title, ...(detail && { detail }) }),
    /** Runs an action; a failure becomes a toast. True when it worked. */
    async guard(title: string, action: () => Promise<unknown>): Promise<boolean> {
      try {
        await action();
        return true;
      } catch (error) {
        failure(error, title);
        return false;
      }
    },
  };
});
