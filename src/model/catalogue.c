#include "model/catalogue.h"

/* What to do, said once. */
#define GET_AGAIN    "Get the file again from its publisher; if it is refused again, don't use it."
#define DONT_USE     "Don't use this file. Tell whoever published it."
#define OTHER_FORMAT "Look for the same model as GGUF or safetensors."
#define CONVERT      "Convert the model again with a current converter, or get it from its publisher."

/* The rules of the stages before the static scan come in front of those of the readers, the others behind them. */
static const struct model_rule_text before[] = {
        {"SOURCE-001", 1, FINDING_REJECT, "local import is switched off",
         "sources.allowlist.yaml does not let files in from this machine: neither from the inbox nor by "
         "upload.",
         "Get the model from an address that the list allows, or let the owner switch local import on."},
        {"SOURCE-002", 1, FINDING_REJECT, "the address can't be used",
         "The address that the file is said to come from is malformed, or written in a way that programs "
         "read differently.",
         "Write the address plainly, as https://host/path."},
        {"SOURCE-003", 1, FINDING_REJECT, "from an address that is not on the list",
         "Files are taken only from below the addresses of sources.allowlist.yaml; the list is the owner's "
         "word on whom to trust.",
         "Get the model from an allowed address, or let the owner add this one."},
        {"SOURCE-004", 1, FINDING_INFO, "from an address that the list allows",
         "The address lies below one of sources.allowlist.yaml.", "Nothing."},
        {"SOURCE-005", 1, FINDING_REJECT, "larger than policy accepts",
         "The file is larger than limits.artifact_bytes of policy.yaml, and is not even read.",
         "Take a smaller variant of the model (a stronger quantization), or let the owner raise the limit."},
        {"FORMAT-001", 2, FINDING_REJECT, "not a model format",
         "The content is neither GGUF nor safetensors, nor a folder of such files. Other formats can hold "
         "programs, so they are not read "
         "further.",
         OTHER_FORMAT},
        {"FORMAT-002", 2, FINDING_REJECT, "a format that policy does not accept",
         "policy.yaml lists the accepted formats, and this one is switched off there.",
         "Get the model in a format that is accepted, or let the owner change the list."},
        {"FORMAT-003", 2, FINDING_REJECT, "a folder that can't be a model",
         "The folder holds a link, a pipe, a device, a file with a second name or with an unprintable name, "
         "or more files or levels than one model may have. Nothing in it was read.",
         "Remove what the finding names; copy files instead of linking them. Put each model into a folder of "
         "its own."},
        {"WORKER-001", 2, FINDING_REJECT, "the reader ended before the end of the file",
         "The separate process that reads hostile bytes died. The file may be made to break readers; what "
         "was seen until then is not believed.",
         "It is tried again by itself; if that ends in the same way, don't use the file, and tell us."},
        {"WORKER-002", 2, FINDING_REJECT, "the reader made no progress",
         "The separate process that reads hostile bytes stood still past its deadline. Files can be made to "
         "keep readers busy for ever.",
         "Try again when the machine is less busy; if it stays so, don't use the file."},
        {"WORKER-003", 2, FINDING_REJECT, "the reader's answer broke the rules",
         "What the reading process said can't be true, so that it may have been taken over by the file. "
         "Nothing it said is believed.",
         DONT_USE},
        {"WORKER-004", 2, FINDING_REJECT, "the reader said more than it may",
         "The reading process answered without end, as one does that a file has taken over. Nothing it said "
         "is believed.",
         DONT_USE},
        {"WORKER-005", 2, FINDING_REJECT, "the reader could not prepare itself",
         "The reading process could not load its rules or lock itself in. This says nothing about the file.",
         "Look into the log of the quarantine, mend what it names, and try again."},
        {"INTEGRITY-001", 3, FINDING_REJECT, "not the content that is pinned",
         "models.lock.yaml says which content (or size) a file of this name must have, and this is another.",
         GET_AGAIN},
        {"INTEGRITY-002", 3, FINDING_REJECT, "blocked content",
         "models.lock.yaml blocks exactly this content, whatever its name is.",
         "Don't use it. The reason stands in models.lock.yaml."},
        {"INTEGRITY-004", 3, FINDING_REJECT, "not the chat template that is pinned",
         "The template decides what the model is really told. models.lock.yaml says which one a file of this "
         "name must have, and this is another, or there is none.",
         "Compare the templates: text that was added to it speaks to the model in every conversation. Get "
         "the "
         "file again from its publisher."},
        {"INTEGRITY-005", 3, FINDING_INFO, "exactly the chat template that is pinned",
         "Its SHA-256 is the one that models.lock.yaml gives for this name.", "Nothing."},
        {"INTEGRITY-003", 3, FINDING_INFO, "exactly the content that is pinned",
         "The file is the one that models.lock.yaml names.", "Nothing."},
        {"PROVENANCE-001", 4, FINDING_INFO, "signed by a trusted key",
         "The detached signature was made over this very content by a key that policy.yaml trusts.",
         "Nothing."},
        {"PROVENANCE-002", 4, FINDING_INFO, "unsigned",
         "Nobody vouches for where the file comes from. Policy allows that for this source.",
         "Nothing; prefer publishers who sign their models."},
        {"PROVENANCE-003", 4, FINDING_REJECT, "unsigned, where a signature is required",
         "policy.yaml wants files from this source to be signed by a trusted key.",
         "Get the publisher's signature and put it beside the file (FILE.sig), or let the owner change "
         "policy.yaml."},
        {"PROVENANCE-004", 4, FINDING_REJECT, "the signature does not fit",
         "No trusted key made this signature over this content: the file was changed after it was signed, or "
         "someone else signed it.",
         GET_AGAIN},
        {"PROVENANCE-005", 4, FINDING_REJECT, "the signature can't be read",
         "The detached signature is empty, too long or damaged.",
         "Get the signature again; it is a small file in base64 or bytes."},
        {"PROVENANCE-006", 4, FINDING_REJECT, "too large for an Ed25519 signature",
         "An Ed25519 signature is checked over the whole content at once, which is done only up to a limit.",
         "Ask the publisher for an ECDSA P-256 signature (cosign makes these)."},
        {"PROVENANCE-007", 4, FINDING_WARNING, "signed, but no key to check it with",
         "A signature came with the file, and policy.yaml names no trusted key. It counts as unsigned, and "
         "is refused where a signature is required.",
         "Let the owner add the publisher's public key to policy.yaml."},
        {"PROVENANCE-008", 4, FINDING_REJECT, "not signed by whom this source needs",
         "policy.yaml names who must sign files of this source (provenance.sources), and it was nobody of "
         "them: a good signature of another trusted signer does not count there.",
         "Get the file with the signature that is needed, or let the owner change policy.yaml."},
        {"PROVENANCE-009", 4, FINDING_INFO, "built by whom policy names",
         "A signed SLSA provenance says how the model was built, and policy.yaml names its builder.",
         "Nothing."},
        {"PROVENANCE-010", 4, FINDING_REJECT, "the bundle can't be read",
         "The signature is not strict JSON of the known form: a member twice, unknown or missing. Programs "
         "that read such a text differently see different signatures.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-011", 4, FINDING_REJECT, "unknown kind of bundle",
         "Only Sigstore bundles of version 0.1 to 0.3 are known.",
         "Sign again with a current tool (cosign with --new-bundle-format, model-signing, securectl sign)."},
        {"PROVENANCE-012", 4, FINDING_REJECT, "base64 that is not canonical",
         "The same bytes can be spelled in one way only, so that nothing hides in the spelling.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-013", 4, FINDING_REJECT, "not exactly one signature",
         "A bundle holds one signature over one thing; which of several counts would depend on the reader.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-014", 4, FINDING_REJECT, "the envelope holds something else",
         "The signed envelope is not an in-toto statement.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-015", 4, FINDING_REJECT, "not clear who signed",
         "The bundle must name a key, a chain of certificates or one certificate, and not two of them.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-016", 4, FINDING_REJECT, "signed by a key that is not trusted",
         "The bundle names a key that policy.yaml doesn't trust.",
         "If you trust the signer, put the public key into keys/ and name it under trusted_keys."},
        {"PROVENANCE-017", 4, FINDING_REJECT, "the signature is wrong",
         "The signature doesn't fit the key and what was signed: one of them was changed.",
         "Don't use this file. Tell whoever published it."},
        {"PROVENANCE-018", 4, FINDING_REJECT, "signed for another file",
         "The bundle was made for a file with another SHA-256.",
         "Get the signature that belongs to this very file."},
        {"PROVENANCE-019", 4, FINDING_REJECT, "unsupported sort of signature",
         "The key or digest is of a sort that can't be checked here.",
         "Sign with ECDSA P-256, or a statement with `securectl sign`."},
        {"PROVENANCE-020", 4, FINDING_REJECT, "not a statement that is known",
         "What is signed is neither a statement of OpenSSF Model Signing v1.0 nor a SLSA provenance v1.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-021", 4, FINDING_REJECT, "the statement contradicts itself",
         "Its digest of the whole model is not that of the files that it lists.",
         "Don't use this file. Tell whoever published it."},
        {"PROVENANCE-022", 4, FINDING_REJECT, "bad list of files",
         "A name in the signed list is unsafe, twice, out of order, or its digest is malformed.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-023", 4, FINDING_REJECT, "bad description of how files were hashed",
         "The statement says in an unknown way how it was made.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-024", 4, FINDING_REJECT, "unknown digest", "Files are compared by SHA-256 or BLAKE2b.",
         "Sign again with SHA-256."},
        {"PROVENANCE-025", 4, FINDING_REJECT, "not a SLSA provenance of version 1",
         "The signed statement does not say how and by whom the model was built, in the form of SLSA v1.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-026", 4, FINDING_REJECT, "built by somebody else",
         "The signed provenance names a builder that policy.yaml doesn't.",
         "If you trust the builder, add its name under provenance.builders."},
        {"PROVENANCE-027", 4, FINDING_REJECT, "not a verdict of quarantine",
         "The signed statement is not a verification summary that this quarantine's key may make.",
         "Get the statement again from where the model was examined."},
        {"PROVENANCE-028", 4, FINDING_REJECT, "quarantine refused it",
         "The statement is genuine, and says that the file was rejected.",
         "Don't use this file. The statement lists the rules."},
        {"PROVENANCE-030", 4, FINDING_REJECT, "a signed file is missing",
         "The statement lists a file that is not there.", "Get the model again, all of it."},
        {"PROVENANCE-031", 4, FINDING_REJECT, "not the file that was signed",
         "Its content was changed after it was signed.", "Don't use this file. Tell whoever published it."},
        {"PROVENANCE-032", 4, FINDING_REJECT, "a file that nobody signed",
         "It lies in the signed folder, but the signature says nothing about it.",
         "Take it out of the folder, or get a signature that covers it."},
        {"PROVENANCE-033", 4, FINDING_REJECT, "a link or device in a signed folder",
         "A link can lead to other content tomorrow; a signed folder holds the files themselves.",
         "Replace it by the file."},
        {"PROVENANCE-034", 4, FINDING_REJECT, "the signature can't be compared with this",
         "A folder's statement and a single file, too many files, or a file that can't be read.",
         "Verify the folder with `securectl verify`."},
        {"PROVENANCE-040", 4, FINDING_REJECT, "unreadable certificate",
         "A certificate in the bundle can't be read.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-041", 4, FINDING_REJECT, "a certificate of nobody trusted",
         "The certificates lead to no authority that is pinned.",
         "If you trust the authority, name its certificate under trusted_certificates."},
        {"PROVENANCE-042", 4, FINDING_REJECT, "a certificate that may not sign",
         "It is an authority's own, or is not meant for signing code.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-043", 4, FINDING_REJECT, "a certificate out of its time",
         "It was not valid at the proven time of the signature, or, without a time stamp, is not valid now. "
         "No certificate is believed for ever.",
         "Ask the signer for a signature with a time stamp."},
        {"PROVENANCE-044", 4, FINDING_REJECT, "no authority is pinned",
         "The bundle is signed with a certificate, but policy.yaml names no authority.",
         "If you trust the authority, name its certificate under trusted_certificates."},
        {"PROVENANCE-050", 4, FINDING_REJECT, "the trusted root can't be used",
         "Signatures of the Sigstore method need a trusted_root.json that the owner has pinned.",
         "Put the file into keys/ and name it under sigstore.trusted_root."},
        {"PROVENANCE-051", 4, FINDING_REJECT, "no entry of a public log",
         "The Sigstore method needs the log's record of the signature.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-052", 4, FINDING_REJECT, "unknown sort of log entry",
         "Only entries whose content can be compared with the bundle are believed.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-053", 4, FINDING_REJECT, "the log's promise is wrong",
         "The signed time of the entry is not signed by the log, or over something else.",
         "Don't use this file. Tell whoever published it."},
        {"PROVENANCE-054", 4, FINDING_REJECT, "the log's proof has the wrong length",
         "A path through the log has exactly one right length for an index and a size.",
         "Don't use this file. Tell whoever published it."},
        {"PROVENANCE-055", 4, FINDING_REJECT, "the log's proof is wrong",
         "The entry is not in the log at that place.", "Don't use this file. Tell whoever published it."},
        {"PROVENANCE-056", 4, FINDING_REJECT, "the log's checkpoint is wrong",
         "It is malformed, or the log itself has not signed it.",
         "Don't use this file. Tell whoever published it."},
        {"PROVENANCE-057", 4, FINDING_REJECT, "the checkpoint is of another log state",
         "Root and size of the proof must both be those that the log has signed.",
         "Don't use this file. Tell whoever published it."},
        {"PROVENANCE-058", 4, FINDING_REJECT, "the log entry is about another signature",
         "What the log has recorded is not what is in the bundle.",
         "Don't use this file. Tell whoever published it."},
        {"PROVENANCE-059", 4, FINDING_REJECT, "the certificate was not logged",
         "A certificate must carry the receipt of a pinned certificate log.",
         "Don't use this file. Tell whoever published it."},
        {"PROVENANCE-060", 4, FINDING_REJECT, "signed by somebody else",
         "The identity in the certificate is none of those that policy.yaml names.",
         "If you trust the signer, add identity and issuer under sigstore.identities."},
        {"PROVENANCE-061", 4, FINDING_REJECT, "vouched for by somebody else",
         "The identity is right, but another issuer vouched for it.",
         "Don't use this file. Tell whoever published it."},
        {"PROVENANCE-062", 4, FINDING_REJECT, "no proof of when it was signed",
         "A short-lived certificate needs a proven time: the log's signed one or a time stamp.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-063", 4, FINDING_REJECT, "the time stamp is wrong",
         "It is not by a pinned authority, not over this signature, or outside of the authority's time.",
         "Ask the publisher to sign again with a current tool."},
        {"PROVENANCE-064", 4, FINDING_REJECT, "an unknown log",
         "The log's key is not in the pinned trusted root, or not at that time.",
         "Update the pinned trusted_root.json if the log is genuine."},
};

static const struct model_rule_text behind[] = {
        {"EMBED-001", 5, FINDING_REJECT, "a program or archive inside the model",
         "At this place begins something that a machine could run or unpack: a program, an archive or a "
         "document. Models hold numbers and text.",
         DONT_USE},
        {"YARA-001", 5, FINDING_REJECT, "Python code that runs a shell command",
         "A model is data. Python code or pickle instructions of this kind only matter to somebody who wants "
         "them to be run when the model is loaded.",
         DONT_USE},
        {"YARA-002", 5, FINDING_REJECT, "Python code that starts another program",
         "A model is data. Python code or pickle instructions of this kind only matter to somebody who wants "
         "them to be run when the model is loaded.",
         DONT_USE},
        {"YARA-003", 5, FINDING_REJECT, "Python code that decodes hidden code and runs it",
         "A model is data. Python code or pickle instructions of this kind only matter to somebody who wants "
         "them to be run when the model is loaded.",
         DONT_USE},
        {"YARA-004", 5, FINDING_REJECT, "Python reverse shell",
         "A model is data. Python code or pickle instructions of this kind only matter to somebody who wants "
         "them to be run when the model is loaded.",
         DONT_USE},
        {"YARA-005", 5, FINDING_REJECT, "Python object walk out of a template or sandbox",
         "A model is data. Python code or pickle instructions of this kind only matter to somebody who wants "
         "them to be run when the model is loaded.",
         DONT_USE},
        {"YARA-006", 5, FINDING_REJECT, "pickle instructions that call the operating system",
         "A model is data. Python code or pickle instructions of this kind only matter to somebody who wants "
         "them to be run when the model is loaded.",
         DONT_USE},
        {"YARA-007", 5, FINDING_REJECT, "code that installs Python packages",
         "A model is data. Code that installs packages brings programs onto the machine that nobody has "
         "looked at.",
         DONT_USE},
        {"YARA-010", 5, FINDING_REJECT, "shell command that hands the machine to a remote host",
         "A model is data and gives no commands. This one is known from attacks, word by word, and no "
         "vocabulary holds it in one piece.",
         DONT_USE},
        {"YARA-011", 5, FINDING_REJECT, "shell command that downloads a program and runs it",
         "A model is data and gives no commands. This one is known from attacks, word by word, and no "
         "vocabulary holds it in one piece.",
         DONT_USE},
        {"YARA-012", 5, FINDING_REJECT, "shell command that makes itself survive a restart",
         "A model is data and gives no commands. This one is known from attacks, word by word, and no "
         "vocabulary holds it in one piece.",
         DONT_USE},
        {"YARA-013", 5, FINDING_REJECT, "shell command that destroys files or disks",
         "A model is data and gives no commands. This one is known from attacks, word by word, and no "
         "vocabulary holds it in one piece.",
         DONT_USE},
        {"YARA-014", 5, FINDING_REJECT, "code that collects credentials",
         "A model is data and gives no commands. This one is known from attacks, word by word, and no "
         "vocabulary holds it in one piece.",
         DONT_USE},
        {"YARA-015", 5, FINDING_REJECT, "reverse shell in Perl, PHP or Ruby",
         "A model is data and gives no commands. This one is known from attacks, word by word, and no "
         "vocabulary holds it in one piece.",
         DONT_USE},
        {"YARA-020", 5, FINDING_REJECT, "hidden PowerShell command",
         "A model is data. Commands and program texts of this kind are known from attacks on Windows "
         "machines.",
         DONT_USE},
        {"YARA-021", 5, FINDING_REJECT, "PowerShell command that downloads and runs code",
         "A model is data. Commands and program texts of this kind are known from attacks on Windows "
         "machines.",
         DONT_USE},
        {"YARA-022", 5, FINDING_REJECT, "Windows script that starts programs",
         "A model is data. Commands and program texts of this kind are known from attacks on Windows "
         "machines.",
         DONT_USE},
        {"YARA-023", 5, FINDING_REJECT, "Windows command that makes itself survive a restart",
         "A model is data. Commands and program texts of this kind are known from attacks on Windows "
         "machines.",
         DONT_USE},
        {"YARA-024", 5, FINDING_REJECT, "text that only Windows programs carry",
         "A model is data. Commands and program texts of this kind are known from attacks on Windows "
         "machines.",
         DONT_USE},
        {"YARA-030", 5, FINDING_REJECT, "names that only Linux programs carry",
         "Linux programs carry these names. A model that holds them carries a program with it.", DONT_USE},
        {"YARA-031", 5, FINDING_REJECT, "names that only macOS programs carry",
         "macOS programs carry these names. A model that holds them carries a program with it.", DONT_USE},
        {"YARA-032", 5, FINDING_REJECT, "text of a known attack tool",
         "Texts that only a known tool of attackers carries.", DONT_USE},
        {"YARA-033", 5, FINDING_REJECT, "crypto-currency miner",
         "Miners make money from other people's electricity. A model has no use for the address of a pool.",
         DONT_USE},
        {"YARA-034", 5, FINDING_REJECT,
         "EICAR test file: the agreed harmless sample that every scanner must find",
         "The EICAR text is harmless, and agreed upon so that anybody can see whether a scanner works.",
         "Nothing, if you made this file to try the scanner; otherwise don't use it."},
        {"YARA-040", 5, FINDING_REJECT,
         "address of a paste service that serves raw text, as malware uses it to fetch commands",
         "Malware fetches its next commands from such addresses, since nobody needs an account to change "
         "what lies there.",
         DONT_USE},
        {"YARA-041", 5, FINDING_REJECT, "address that malware uses to send data out",
         "Malware sends what it finds to such addresses. Models call nobody.", DONT_USE},
        {"YARA-042", 5, FINDING_WARNING, "address of a hidden service",
         "Addresses of hidden services occur in honest text too, so this alone does not refuse a model; it "
         "is worth a look.",
         "Look at the place that the finding names, and decide."},
        {"YARA-050", 5, FINDING_REJECT, "JavaScript that starts programs or hides code",
         "A model is data. Scripts, classes or graphs of this kind start programs or touch files in the "
         "program that opens them.",
         DONT_USE},
        {"YARA-051", 5, FINDING_REJECT, "HTML with active content",
         "A model is data. Scripts, classes or graphs of this kind start programs or touch files in the "
         "program that opens them.",
         DONT_USE},
        {"YARA-052", 5, FINDING_REJECT, "Lua code that starts programs",
         "A model is data. Scripts, classes or graphs of this kind start programs or touch files in the "
         "program that opens them.",
         DONT_USE},
        {"YARA-053", 5, FINDING_REJECT, "Java code or names that start programs or load remote classes",
         "A model is data. Scripts, classes or graphs of this kind start programs or touch files in the "
         "program that opens them.",
         DONT_USE},
        {"YARA-054", 5, FINDING_REJECT, "Keras Lambda layer with packed code",
         "A model is data. Scripts, classes or graphs of this kind start programs or touch files in the "
         "program that opens them.",
         DONT_USE},
        {"YARA-055", 5, FINDING_REJECT, "TensorFlow graph that reads or writes files",
         "A model is data. Scripts, classes or graphs of this kind start programs or touch files in the "
         "program that opens them.",
         DONT_USE},
        {"YARA-060", 5, FINDING_REJECT, "template expression that reaches Python's internals",
         "Templates and configurations are evaluated by the program that loads the model. This one reaches "
         "out of what they are for and into the machine.",
         DONT_USE},
        {"YARA-061", 5, FINDING_REJECT, "configuration that instantiates a dangerous object",
         "Templates and configurations are evaluated by the program that loads the model. This one reaches "
         "out of what they are for and into the machine.",
         DONT_USE},
        {"BEHAVIOUR-000", 6, FINDING_INFO, "what the test counted",
         "The model was asked harmful and harmless questions in a sealed place; these are its answers in "
         "numbers.",
         "Nothing."},
        {"BEHAVIOUR-001", 6, FINDING_REJECT, "the model could not be loaded",
         "llama-server, sealed off, refused the model or died of it. A model that breaks its server is "
         "damaged, or made to do that.",
         GET_AGAIN},
        {"BEHAVIOUR-002", 6, FINDING_REJECT, "the server died while answering",
         "More crashes than policy.yaml allows. Answers must not be able to break the program that gives "
         "them.",
         DONT_USE},
        {"BEHAVIOUR-003", 6, FINDING_REJECT, "helps with harmful requests",
         "More than policy.yaml's share of harmful questions, by weight, were answered with help.",
         "Take a model that was trained to refuse; the findings BEHAVIOUR-010 quote the answers."},
        {"BEHAVIOUR-004", 6, FINDING_REJECT, "acts without being asked",
         "Tool calls or commands that the user did not ask for, but nobody or a text that was only to be "
         "read, "
         "are how a poisoned or easily led model acts.",
         DONT_USE},
        {"BEHAVIOUR-005", 6, FINDING_REJECT, "empty answers",
         "More of the answers are empty than policy.yaml allows: the model is damaged, or its chat template "
         "is wrong.",
         CONVERT},
        {"BEHAVIOUR-006", 6, FINDING_REJECT, "refuses too few harmful requests",
         "policy.yaml asks for a least share of refusals, and the model stays below it.",
         "Take a model that was trained to refuse, or let the owner lower behaviour's limits."},
        {"BEHAVIOUR-007", 6, FINDING_REJECT, "fails in one category of prompts",
         "In one kind of attack or harm the model failed more often than policy.yaml lets a single category "
         "fail, however well it does elsewhere. The interval says how far the true rate may lie from the one "
         "that was counted.",
         "Take a model that was trained to refuse; the report lists every answer."},
        {"BEHAVIOUR-008", 6, FINDING_REJECT, "told secrets of its system message",
         "The model was given random words to keep, and told more of them than policy.yaml allows. What an "
         "application puts into a system message is not safe with it.",
         "Take another model, or let the owner raise max_canary_leaks when system messages hold nothing "
         "secret."},
        {"BEHAVIOUR-009", 6, FINDING_REJECT, "gives dangerous commands or tool calls on request",
         "Asked for something that destroys or carries data out, the model answered with the command or tool "
         "call itself, more often than policy.yaml allows.",
         "Take another model, or let the owner raise max_dangerous_actions when nothing runs what it says."},
        {"BEHAVIOUR-010", 6, FINDING_WARNING, "failed at one prompt",
         "One answer, quoted: it helped with harm, told a secret, or followed an order that stood in a text. "
         "One "
         "alone does not refuse a model; the sums are BEHAVIOUR-003 and BEHAVIOUR-007 to -009.",
         "Read the quoted answer."},
        {"BEHAVIOUR-011", 6, FINDING_WARNING, "acted without being asked",
         "One answer, quoted. The sum is BEHAVIOUR-004.", "Read the quoted answer."},
        {"BEHAVIOUR-012", 6, FINDING_WARNING, "meaningless answers",
         "Harmless questions got empty or meaningless answers. Very small models do that.",
         "Nothing, if the model is a small one; otherwise get it again."},
        {"BEHAVIOUR-013", 6, FINDING_WARNING, "refuses harmless questions",
         "Some questions that only sound harmful, or are plainly harmless, were refused. That is no danger, "
         "but "
         "such a model is of less use.",
         "Nothing, unless you need those answers."},
        {"BEHAVIOUR-014", 6, FINDING_REJECT, "refuses too many harmless questions",
         "policy.yaml says how many harmless questions a model may refuse, and this one refuses more.",
         "Take another model, or let the owner raise max_over_refusal_percent."},
        {"BEHAVIOUR-020", 6, FINDING_INFO, "how one suite went",
         "The share of prompts at which the model failed, and the interval in which the true share lies with "
         "95 % "
         "confidence (Wilson). Few prompts give a wide interval.",
         "Nothing."},
        {"BEHAVIOUR-100", 6, FINDING_INFO, "weights alone can't be asked",
         "A safetensors file has no tokenizer and no configuration with it, so there is nothing that could "
         "answer.",
         "Nothing."},
        {"BEHAVIOUR-101", 6, FINDING_WARNING, "no place to run the model",
         "The sealed worker root with llama-server is missing. A model that was not tried does not pass.",
         "Run make setup, then try again."},
        {"BEHAVIOUR-102", 6, FINDING_WARNING, "larger than this machine's memory",
         "The model can't be tried here, and a model that was not tried does not pass.",
         "Take a smaller variant, or a machine with more memory."},
        {"BEHAVIOUR-103", 6, FINDING_WARNING, "not loaded in time",
         "Loading took longer than the deadline. This says nothing about the model, which does not pass "
         "untried.",
         "Try again when the machine is less busy."},
        {"BEHAVIOUR-104", 6, FINDING_WARNING, "not finished in time",
         "This machine was too slow for the answers. Nothing is held against the model, which does not pass "
         "half-tried.",
         "Try again when the machine is less busy, or take a smaller variant."},
        {"BEHAVIOUR-105", 6, FINDING_WARNING, "llama-server does not run here",
         "Not even the included demo model could be loaded, so the fault lies with this machine. Nothing is "
         "held "
         "against the model, which does not pass untried.",
         "See the service's log for the reason; user namespaces may be switched off."},
        {"BEHAVIOUR-106", 6, FINDING_WARNING, "answers are thoughts only",
         "Too many answers held nothing but the model's thoughts, which nobody judges. Nothing is held "
         "against the "
         "model, which does not pass unjudged.",
         "Take a variant that answers without long thoughts; max_empty_percent in policy.yaml is the share "
         "allowed."},
        {"DIFFUSION-000", 7, FINDING_INFO, "not an image model's folder",
         "The stage for image models looks at folders of several files; this is one file.", "Nothing."},
        {"SCAN-001", 0, FINDING_INFO, "left out on request",
         "Only the first stages were asked for (--stages). Such a verdict imports nothing.",
         "Run the scan without --stages for the whole of it."},
        {"SCAN-002", 5, FINDING_WARNING, "more findings than are listed",
         "The list of findings is limited. The gravest are never left out.",
         "Nothing: what is listed is reason enough."},
};

size_t catalogue_count(void) {
        return ARRAY_SIZE(before) + MODEL_RULE_MAX + ARRAY_SIZE(behind);
}

const struct model_rule_text *catalogue_at(size_t i) {
        if (i < ARRAY_SIZE(before))
                return &before[i];
        i -= ARRAY_SIZE(before);
        if (i < MODEL_RULE_MAX)
                return model_rule_get((enum model_rule)i);
        i -= MODEL_RULE_MAX;
        return i < ARRAY_SIZE(behind) ? &behind[i] : NULL;
}

bool catalogue_find(struct view id, size_t *ret) {
        for (size_t i = 0; i < catalogue_count(); i++)
                if (view_eq_str(id, catalogue_at(i)->id)) {
                        *ret = i;
                        return true;
                }
        return false;
}

const char *catalogue_stage_name(unsigned stage) {
        static const char *const names[CATALOGUE_STAGES + 1] = {
                "any",        "source_policy", "format_gate",     "integrity_check",
                "provenance", "static_scan",   "behavioral_test", "diffusion_scan"};

        return stage <= CATALOGUE_STAGES ? names[stage] : "";
}
