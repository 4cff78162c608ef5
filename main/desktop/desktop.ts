/**
 * The desktop application: windows, menu, tray, and connections from windows to the engine. Owns no
 * cluster: closing it closes windows. All of Electron comes in by the ElectronApi interface.
 */
import { isAbsolute, relative, resolve } from "node:path";
import { HOME, isOurs, mayOpen } from "./addresses.ts";
import type { ElectronApi, IpcEvent, MenuEntry, PortMain, WindowLike } from "./electron-api.ts";

export interface DesktopOptions {
  preload: string;
  /** The engine's data folder: only files below it are shown in the file manager. */
  home: string;
  /** Joins a port to the engine, starting that when needed; the answer closes both. */
  relay: (port: PortMain) => Promise<() => void>;
  /** The setting "keep running": undefined when the engine cannot be asked. */
  keepRunning: () => Promise<boolean | undefined>;
  stopEngine: () => Promise<void>;
  report: (message: string) => void;
}

/** How long quitting waits for clusters to stop in order. */
const STOP_MILLIS = 120_000;

export class Desktop {
  private readonly electron: ElectronApi;
  private readonly options: DesktopOptions;
  private readonly windows = new Set<WindowLike>();
  /** Open relays by window. */
  private readonly relays = new Map<number, Set<() => void>>();
  private removeTray: (() => void) | undefined;
  private leaving = false;

  constructor(electron: ElectronApi, options: DesktopOptions) {
    this.electron = electron;
    this.options = options;
  }

  /** To be called once Electron is ready. */
  start(): void {
    const { electron } = this;
    electron.session.setPermissionRequestHandler((_contents, permission, answer) => answer(isAllowed(permission)));
    electron.session.setPermissionCheckHandler(() => false);
    electron.setMenu(this.menu());
    this.removeTray = electron.createTray("Drydock", () => this.trayMenu());
    electron.onIpc("drydock:connect", (event, id) => void this.connect(event, id));
    electron.onIpc("drydock:open-external", (event, url) => this.openExternal(event, url));
    electron.onIpc("drydock:show-file", (event, path) => this.showFile(event, path));
    electron.onSecondInstance(() => this.showWindow());
    electron.onActivate(() => this.showWindow());
    electron.onAllWindowsClosed(() => void this.leave());
    this.showWindow();
  }

  /** The window there is, brought to the front, or a new one. */
  showWindow(): void {
    const existing = [...this.windows].find((window) => !window.isDestroyed());
    if (!existing) return this.openWindow();
    if (existing.isMinimized()) existing.restore();
    existing.show();
    existing.focus();
  }

  openWindow(): void {
    const window = this.electron.createWindow({
      width: 1320,
      height: 860,
      minWidth: 640,
      minHeight: 480,
      show: false,
      title: "Drydock",
      // The page's own background, so that nothing flashes before it is painted.
      backgroundColor: this.electron.dark() ? "#0c1419" : "#f5f8f9",
      autoHideMenuBar: true,
      webPreferences: {
        preload: this.options.preload,
        contextIsolation: true,
        sandbox: true,
        nodeIntegration: false,
        webSecurity: true,
        spellcheck: false,
      },
    });
    const { webContents } = window;
    const { id } = webContents;
    this.windows.add(window);
    webContents.setWindowOpenHandler(({ url }) => {
      this.open(url);
      return { action: "deny" };
    });
    webContents.on("will-navigate", (event, url) => {
      if (!isOurs(url)) event.preventDefault();
    });
    webContents.on("will-attach-webview", (event) => event.preventDefault());
    window.on("ready-to-show", () => window.show());
    window.on("closed", () => {
      this.windows.delete(window);
      for (const close of this.relays.get(id) ?? []) close();
      this.relays.delete(id);
    });
    window.loadURL(HOME).catch((error: unknown) => this.options.report(`the window could not load: ${String(error)}`));
  }

  /** Answers with a port joined to the engine, or with why there is none; the window asks again by itself. */
  private async connect(event: IpcEvent, id: unknown): Promise<void> {
    if (!fromOurPage(event) || typeof id !== "string" || id.length > 100) return;
    const { sender } = event;
    const { port1, port2 } = this.electron.createChannel();
    try {
      const close = await this.options.relay(port1);
      const open = this.relays.get(sender.id) ?? new Set();
      open.add(close);
      this.relays.set(sender.id, open);
      port1.on("close", () => open.delete(close));
      sender.postMessage("drydock:port", { id }, [port2]);
    } catch (error) {
      port1.close();
      sender.postMessage("drydock:port", { id, error: error instanceof Error ? error.message : String(error) });
    }
  }

  private openExternal(event: IpcEvent, url: unknown): void {
    if (fromOurPage(event) && typeof url === "string") this.open(url);
  }

  private open(url: string): void {
    if (!mayOpen(url)) return;
    this.electron
      .openExternal(url)
      .catch((error: unknown) => this.options.report(`could not open ${url}: ${String(error)}`));
  }

  private showFile(event: IpcEvent, path: unknown): void {
    if (!fromOurPage(event) || typeof path !== "string" || !isAbsolute(path)) return;
    const below = relative(this.options.home, resolve(path));
    if (below === "" || below.startsWith("..") || isAbsolute(below)) return;
    this.electron.showItemInFolder(resolve(path));
  }

  /** The last window is closed: clusters go on, unless the user wants otherwise. */
  async leave(): Promise<void> {
    if (this.leaving) return;
    this.leaving = true;
    try {
      // Unknown is not a reason to stop somebody's clusters.
      if ((await this.options.keepRunning()) === false) await withDeadline(this.options.stopEngine(), STOP_MILLIS);
    } catch (error) {
      this.options.report(`the engine was not stopped: ${String(error)}`);
    }
    this.removeTray?.();
    this.removeTray = undefined;
    for (const open of this.relays.values()) for (const close of open) close();
    this.electron.quit();
  }

  private trayMenu(): MenuEntry[] {
    return [
      { label: "Open Drydock", click: () => this.showWindow() },
      { type: "separator" },
      { label: "Quit", click: () => void this.leave() },
    ];
  }

  private menu(): MenuEntry[] {
    const mac = this.electron.platform === "darwin";
    return [
      ...(mac ? [{ role: "appMenu" }] : []),
      {
        label: "Window",
        submenu: [
          { label: "New window", accelerator: "CmdOrCtrl+Shift+N", click: () => this.openWindow() },
          { role: "reload" },
          { type: "separator" },
          { role: "zoomIn" },
          { role: "zoomOut" },
          { role: "resetZoom" },
          { role: "togglefullscreen" },
          { type: "separator" },
          { role: mac ? "close" : "quit" },
        ],
      },
      { role: "editMenu" },
    ];
  }
}

/** Copying is all that our pages ask for. */
function isAllowed(permission: string): boolean {
  return permission === "clipboard-sanitized-write";
}

function fromOurPage(event: IpcEvent): boolean {
  return event.senderFrame !== null && isOurs(event.senderFrame.url);
}

function withDeadline(work: Promise<void>, millis: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error(`it took longer than ${millis / 1000} s`)), millis);
  work.then(resolve, reject).finally(() => clearTimeout(timer));
  return promise;
}
