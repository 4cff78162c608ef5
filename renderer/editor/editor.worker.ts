/** Monaco's own worker: diffs, links, word completion. */
import "monaco-editor/esm/vs/editor/editor.worker.js";
