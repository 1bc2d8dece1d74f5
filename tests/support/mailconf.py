"""What the configuration files of a mail domain on loopback say, before `rrsctl mail setup` has its word."""

POSTFIX = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/lib
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mx.{name}
mydomain = {name}
myorigin = {name}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
mydestination =
local_recipient_maps =
virtual_mailbox_domains = {name}
virtual_mailbox_maps = texthash:{folder}/mailboxes
virtual_alias_maps = texthash:{folder}/aliases
virtual_transport = lmtp:inet:[127.0.0.1]:{lmtp}
default_database_type = texthash
transport_maps = texthash:{folder}/transport
alias_maps =
alias_database =
disable_dns_lookups = yes
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_forbid_bare_newline = yes
smtpd_milters = inet:127.0.0.1:{verify}
milter_default_action = tempfail
bounce_queue_lifetime = 1h
minimal_backoff_time = {retry}s
maximal_backoff_time = {retry}s
queue_run_delay = {retry}s
smtputf8_enable = yes
smtp_connection_cache_on_demand = no
lmtp_connection_cache_on_demand = no
service_throttle_time = 1s
"""
"""Domains know their way to each other by a table: DNS has no ports. No connection is used again: smtpd answers 451 on
one that has met a milter that was down, for as long as it lives."""

SERVICES = """\
127.0.0.1:{mx} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o mynetworks=127.0.0.0/8
  -o smtpd_milters=inet:127.0.0.1:{sign}
127.0.0.1:{hasty} inet n - n - - smtpd
  -o syslog_name=postfix/hasty
  -o mynetworks=127.0.0.0/8
  -o smtpd_milters=inet:127.0.0.1:{sign}
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""

DOVECOT = """\
base_dir = {folder}/dovecot/run
state_dir = {folder}/dovecot/state
log_path = {folder}/dovecot.log
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_username_format = %Lu
mail_home = {folder}/mail/%d/%n
mail_location = maildir:~/Maildir
mail_temp_dir = {folder}/mail
mail_uid = 65534
mail_gid = 65534
first_valid_uid = 1
first_valid_gid = 1
default_vsz_limit = 0
lmtp_save_to_detail_mailbox = no
postmaster_address = postmaster@{name}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service auth {{
  unix_listener auth-userdb {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
namespace inbox {{
  inbox = yes
}}
"""

MAILBOXES = """\
passdb {{
  driver = passwd-file
  master = yes
  args = {folder}/masters
}}
protocols = imap lmtp
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
"""
"""What a domain without rrsd says of its LMTP server."""

SIGNER = """\
Mode s
Syslog yes
SyslogFacility local7
LogWhy yes
Socket inet:{sign}@127.0.0.1
PidFile {folder}/sign.pid
Selector s1
KeyFile {folder}/dkim.key
Canonicalization relaxed/simple
InternalHosts 127.0.0.0/8
RequireSafeKeys no
"""

VERIFIER = """\
Mode v
Syslog yes
SyslogFacility local7
LogWhy yes
LogResults yes
Socket inet:{verify}@127.0.0.1
PidFile {folder}/verify.pid
InternalHosts /dev/null
TestPublicKeys {keys}
"""
"""Keys come from a file. With ResolverConfiguration each message has libunbound read that file, on a thread of its own,
with a parser that has one state for all of them (OpenDKIM issue 14): when two messages come at once OpenDKIM may answer
451 to every message from then on."""
