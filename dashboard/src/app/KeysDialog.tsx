// The list of shortcuts, and the switch that turns them off.

import { useEffect, useRef } from "preact/hooks";
import { t } from "../text/en";

interface Props {
  open: boolean;
  enabled: boolean;
  onEnabled: (enabled: boolean) => void;
  onClose: () => void;
}

export function KeysDialog({ open, enabled, onEnabled, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open) dialog.current?.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      aria-labelledby="keys-title"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <div class="dialog-body">
        <h2 id="keys-title">{t.keys.title}</h2>
        <dl class="keys">
          {Object.entries(t.keys.list).map(([key, meaning]) => (
            <div key={key}>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
        <label class="check">
          <input type="checkbox" checked={enabled} onChange={(event) => onEnabled(event.currentTarget.checked)} />
          {t.keys.enabled}
        </label>
        <button type="button" class="primary" autofocus onClick={onClose}>
          {t.keys.close}
        </button>
      </div>
    </dialog>
  );
}
