import { Component, type ReactNode } from 'react';

/** Shows a sentence in place of children that throw while rendering. */
export class Guard extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render(): ReactNode {
    return this.state.failed ? <p className="unshown">This message cannot be shown.</p> : this.props.children;
  }
}
