/** What the desktop does for the window; a browser does some of it itself. */

/** Opens an address of this computer in the user's browser: a new tab there, or by the desktop app's bridge. */
export function openUrl(url: string): void {
  if (window.drydock) window.drydock.openExternal(url);
  else window.open(url, "_blank", "noopener,noreferrer");
}

/** Shows a file of the data folder in the file manager; there is no such thing in a browser. */
export const showFile: ((path: string) => void) | undefined = window.drydock?.showFile;
