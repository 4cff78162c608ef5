/** Asks before something that cannot be taken back: says the consequences first, then offers the button. */
import { defineStore } from "pinia";
import { shallowRef } from "vue";

export interface Question {
  title: string;
  /** What will happen, each in a sentence. */
  consequences: string[];
  /** What stays. */
  kept?: string[];
  action: string;
  danger: boolean;
  /** A choice that goes with the answer, e.g. "Stop its Pods first". */
  option?: { label: string; value: boolean };
}

export interface Answer {
  confirmed: boolean;
  option: boolean;
}

export const useConfirm = defineStore("confirm", () => {
  const question = shallowRef<Question>();
  let resolve: ((answer: Answer) => void) | undefined;

  return {
    question,
    ask(asked: Question): Promise<Answer> {
      resolve?.({ confirmed: false, option: false });
      question.value = asked;
      return new Promise((done) => {
        resolve = done;
      });
    },
    answer(confirmed: boolean, option = false) {
      question.value = undefined;
      resolve?.({ confirmed, option });
      resolve = undefined;
    },
  };
});
