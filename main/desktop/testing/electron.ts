/** A small double of Electron for tests: remembers what was asked of it and lets tests play the user. */
import { EventEmitter } from "node:events";
import type {
  ElectronApi,
  IpcEvent,
  MenuEntry,
  PortMain,
  WebContentsLike,
  WindowLike,
  WindowOptions,
} from "../electron-api.ts";

export class FakePort extends EventEmitter implements PortMain {
  other: FakePort | undefined;
  started = false;
  closed = false;
  postMessage(message: unknown): void {
    queueMicrotask(() => this.other?.emit("message", { data: message }));
  }
  start(): void {
    this.started = true;
  }
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.emit("close");
    this.other?.close();
  }
}

export class FakeContents extends EventEmitter implements WebContentsLike {
  readonly id: number;
  readonly posted: { channel: string; message: unknown; transfer: PortMain[] }[] = [];
  openHandler: ((details: { url: string }) => { action: "deny" }) | undefined;
  constructor(id: number) {
    super();
    this.id = id;
  }
  postMessage(channel: string, message: unknown, transfer: PortMain[] = []): void {
    this.posted.push({ channel, message, transfer });
    this.emit("posted");
  }
  setWindowOpenHandler(handler: (details: { url: string }) => { action: "deny" }): void {
    this.openHandler = handler;
  }
  getURL(): string {
    return "drydock://app/index.html";
  }
}

export class FakeWindow extends EventEmitter implements WindowLike {
  readonly webContents: FakeContents;
  readonly options: WindowOptions;
  loaded = "";
  shown = 0;
  focused = 0;
  minimized = false;
  destroyed = false;
  constructor(id: number, options: WindowOptions) {
    super();
    this.webContents = new FakeContents(id);
    this.options = options;
  }
  loadURL(url: string): Promise<void> {
    this.loaded = url;
    return Promise.resolve();
  }
  show(): void {
    this.shown += 1;
  }
  focus(): void {
    this.focused += 1;
  }
  isMinimized(): boolean {
    return this.minimized;
  }
  restore(): void {
    this.minimized = false;
  }
  isDestroyed(): boolean {
    return this.destroyed;
  }
  close(): void {
    this.destroyed = true;
    this.emit("closed");
  }
}

export class FakeElectron implements ElectronApi {
  platform = "linux";
  readonly windows: FakeWindow[] = [];
  readonly opened: string[] = [];
  readonly shownFiles: string[] = [];
  readonly events = new EventEmitter();
  menu: MenuEntry[] = [];
  tray: (() => MenuEntry[]) | undefined;
  quitted = 0;
  permission: ((contents: unknown, permission: string, answer: (granted: boolean) => void) => void) | undefined;
  permissionCheck: (() => boolean) | undefined;
  readonly session = {
    setPermissionRequestHandler: (handler: FakeElectron["permission"]): void => {
      this.permission = handler;
    },
    setPermissionCheckHandler: (handler: () => boolean): void => {
      this.permissionCheck = handler;
    },
  };
  dark(): boolean {
    return false;
  }
  quit(): void {
    this.quitted += 1;
  }
  onSecondInstance(listener: () => void): void {
    this.events.on("second-instance", listener);
  }
  onActivate(listener: () => void): void {
    this.events.on("activate", listener);
  }
  onAllWindowsClosed(listener: () => void): void {
    this.events.on("all-closed", listener);
  }
  createWindow(options: WindowOptions): FakeWindow {
    const window = new FakeWindow(this.windows.length + 1, options);
    this.windows.push(window);
    return window;
  }
  createChannel(): { port1: FakePort; port2: FakePort } {
    const [port1, port2] = [new FakePort(), new FakePort()];
    port1.other = port2;
    port2.other = port1;
    return { port1, port2 };
  }
  setMenu(entries: MenuEntry[]): void {
    this.menu = entries;
  }
  createTray(_tooltip: string, entries: () => MenuEntry[]): () => void {
    this.tray = entries;
    return () => {
      this.tray = undefined;
    };
  }
  onIpc(channel: string, listener: (event: IpcEvent, ...values: unknown[]) => void): void {
    this.events.on(`ipc:${channel}`, listener);
  }
  /** A message from a page: by default from our own. */
  ipc(channel: string, window: FakeWindow, values: unknown[], url = "drydock://app/index.html"): void {
    this.events.emit(`ipc:${channel}`, { sender: window.webContents, senderFrame: { url } }, ...values);
  }
  openExternal(url: string): Promise<void> {
    this.opened.push(url);
    return Promise.resolve();
  }
  showItemInFolder(path: string): void {
    this.shownFiles.push(path);
  }
}
