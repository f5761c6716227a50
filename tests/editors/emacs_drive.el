;; Runs in Emacs without a screen: eglot on a page, a hover, a code action, its edit.
(require 'package)
(package-initialize)
(require 'cl-lib)
(require 'eglot)
(require 'markdown-mode)
(load (getenv "QSUM_TEST_INIT") nil t)

(setq eglot-sync-connect 30
      eglot-confirm-server-initiated-edits nil
      last-nonmenu-event ?a)

(defun seen-wait (what condition)
  "Wait until CONDITION returns something; WHAT names it."
  (let ((end (+ (float-time) 30)) found)
    (while (not (setq found (funcall condition)))
      (when (> (float-time) end) (error "Waited for %s" what))
      (accept-process-output nil 0.05))
    found))

(let (seen)
  (find-file (getenv "QSUM_TEST_PAGE"))
  (apply #'eglot (eglot--guess-contact))
  (seen-wait "eglot" #'eglot-current-server)
  (re-search-forward "^## Install")
  (let ((hover (seen-wait
                "a hover"
                (lambda ()
                  (let (said)
                    (eglot-hover-eldoc-function (lambda (text &rest _) (setq said text)))
                    (let ((end (+ (float-time) 3)))
                      (while (and (not said) (< (float-time) end)) (accept-process-output nil 0.05)))
                    (and said (string-match-p "grounded" said) (substring-no-properties said)))))))
    (push (cons 'hover hover) seen))
  (let ((before (buffer-string)))
    (cl-letf (((symbol-function 'completing-read) (lambda (&rest _) "Insert summary below heading")))
      (call-interactively #'eglot-code-actions))
    (seen-wait "the edit" (lambda () (not (equal before (buffer-string)))))
    (push (cons 'inserted (substring-no-properties (buffer-string))) seen))
  (with-temp-file (getenv "QSUM_TEST_SEEN")
    (insert (json-encode seen)))
  (eglot-shutdown (eglot-current-server)))
