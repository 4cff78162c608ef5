/**
 * The sandboxed bridge between a window and the main process: hands connections to the engine through,
 * and two small favours of the desktop. Nothing else crosses.
 */
import { contextBridge, ipcRenderer, type IpcRendererEvent } from "electron";
import type { DrydockBridge } from "./bridge.ts";

/** The isolated world shares the page's window for messages; only this much of it is used. */
declare const window: { postMessage(message: unknown, origin: string, transfer: readonly unknown[]): void };

ipcRenderer.on("drydock:port", (event: IpcRendererEvent, answer: { id: string; error?: string }) => {
  window.postMessage({ drydockPort: answer.id, ...(answer.error && { error: answer.error }) }, "*", event.ports);
});

const bridge: DrydockBridge = {
  platform: process.platform,
  connect: (id) => ipcRenderer.send("drydock:connect", String(id)),
  openExternal: (url) => ipcRenderer.send("drydock:open-external", String(url)),
  showFile: (path) => ipcRenderer.send("drydock:show-file", String(path)),
};

contextBridge.exposeInMainWorld("drydock", bridge);
