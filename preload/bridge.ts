/** What the preload script puts at `window.drydock`: a tiny fixed surface; everything else goes through the contract. */
export interface DrydockBridge {
  readonly platform: string;
  /**
   * Asks for a connection to the engine. The answer is a window message
   * `{ drydockPort: id }` with the port transferred, or `{ drydockPort: id, error }` without one.
   */
  connect(id: string): void;
  /** Opens an http(s) address of this computer in the user's browser. */
  openExternal(url: string): void;
  /** Shows a file of the engine's data folder in the file manager. */
  showFile(path: string): void;
}
