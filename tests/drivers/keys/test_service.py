"""The key room on a real folder."""

import json
import os
import stat
from datetime import timedelta
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.proof import signatures
from rrsd.core.refusals import Conflict, Damaged, Forbidden, NoSpace, Unavailable, Unproven
from rrsd.core.values.addresses import parse_client_identifier
from rrsd.core.values.instants import instant
from rrsd.core.values.tokens import Kind
from rrsd.core.wire import jose
from rrsd.drivers.keys import files
from rrsd.drivers.keys.rotation import State
from rrsd.drivers.keys.service import CLIENT_CERTIFICATE, CLIENT_KEY, CLIENTS, LINKS, SIGNING, Keyring
from rrsd.drivers.keys.settings import Settings, Signing
from rrsd.drivers.keys.signer import Signer
from rrsd.drivers.keys.walk import Step, Waits
from tests.support.certificates import Authority

CLIENT = parse_client_identifier("_rra.bar.test")


class KeyringTests(SynchronousTestCase):
    """The room refuses what is unsafe, and signs with what is there."""

    def setUp(self) -> None:
        """A keyring over a folder that holds new keys."""
        self.now = instant(1_700_000_000)
        self.folder = Path(self.mktemp()) / "keys"
        self.keyring = self.reopened(load=False)
        self.keyring.create(CLIENT)

    def reopened(self, load: bool = True) -> Keyring:
        """Another keyring over the same folder, as after a restart."""
        keyring = Keyring(Settings(path=str(self.folder)), lambda: self.now)
        if load:
            self.successResultOf(Deferred.fromCoroutine(keyring.start()))
        return keyring

    def refused(self, refusal: type[Exception]) -> str:
        """What the refusal to start says."""
        return str(self.failureResultOf(Deferred.fromCoroutine(self.reopened(load=False).start()), refusal).value)

    def test_private_files_are_private(self) -> None:
        """Folder and private files are made so that only their owner reads them."""
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in self.folder.iterdir()}
        self.assertEqual(modes, {SIGNING: 0o600, CLIENT_KEY: 0o600, CLIENT_CERTIFICATE: 0o644})
        self.assertEqual(stat.S_IMODE(self.folder.stat().st_mode), 0o700)

    def test_seed_of_links(self) -> None:
        """Made when it is asked for, private, the same after a restart, and never one that others read or that was
        cut off."""
        seed = self.keyring.link_seed()
        path = self.folder / LINKS
        self.assertEqual((len(seed), stat.S_IMODE(path.stat().st_mode)), (32, 0o600))
        self.assertEqual((self.keyring.link_seed(), self.reopened().link_seed()), (seed, seed))
        path.chmod(0o640)
        self.assertRaises(Forbidden, self.reopened().link_seed)
        path.write_bytes(seed[:31])
        path.chmod(0o600)
        self.assertRaises(Damaged, self.reopened().link_seed)

    def test_signatures_verify_with_the_published_keys(self) -> None:
        """What is signed before and after a rotation verifies with what is published after it."""
        old = self.keyring.signer.sign(Kind.DELEGATION, {"sub": "bob@bar.test"})
        self.assertTrue(self.keyring.rotate())
        new = self.keyring.signer.sign(Kind.DELEGATION, {"sub": "bob@bar.test"})
        for text in (old, new):
            signatures.verify(jose.parse_jws(text), self.keyring.published())
        self.assertNotEqual(jose.parse_jws(old).kid, jose.parse_jws(new).kid)
        self.assertEqual(jose.parse_jws(new).typ, Kind.DELEGATION)

    def test_j24_token_of_a_retired_key_after_its_grace(self) -> None:
        """After the grace, what a retired key signed no longer verifies."""
        old = jose.parse_jws(self.keyring.signer.sign(Kind.ACCESS, {}))
        self.keyring.rotate()
        self.now += timedelta(days=1)
        self.assertRaises(Unproven, signatures.verify, old, self.keyring.published())

    def test_rotation_is_on_disk_before_it_is_used(self) -> None:
        """A restart after a rotation signs with the same key."""
        self.keyring.rotate()
        self.assertEqual(self.reopened().published(), self.keyring.published())
        self.assertEqual(self.reopened().signing_keys(), self.keyring.signing_keys())

    def test_rotating_twice_at_once_is_rotating_once(self) -> None:
        """A repeated command says so and changes nothing."""
        self.assertTrue(self.keyring.rotate())
        before = self.keyring.signing_keys()
        self.assertFalse(self.reopened().rotate())
        self.assertEqual(self.reopened().signing_keys(), before)

    def test_a_reload_follows_a_rotation_by_another_process(self) -> None:
        """The daemon's signer, the same object, signs with the new key after a reload."""
        signer = self.keyring.signer
        self.reopened().rotate()
        before = jose.parse_jws(signer.sign(Kind.ACCESS, {})).kid
        self.keyring.reload()
        self.assertNotEqual(jose.parse_jws(signer.sign(Kind.ACCESS, {})).kid, before)

    def test_create_again_keeps_every_key(self) -> None:
        """`create` on a folder with keys changes nothing."""
        before = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        self.keyring.create(parse_client_identifier("_rra.foo.test"))
        self.assertEqual({path.name: path.read_bytes() for path in self.folder.iterdir()}, before)

    def test_z05_key_file_readable_by_others(self) -> None:
        """A private file that group or world may read stops the start and the line says the command to run."""
        for name in (SIGNING, CLIENT_KEY):
            for mode in (0o640, 0o604, 0o660):
                with self.subTest(f"{name} {mode:o}"):
                    path = self.folder / name
                    path.chmod(mode)
                    self.assertIn(f"run: chmod 600 {path}", self.refused(Forbidden))
                    path.chmod(0o600)

    def test_z05_folder_writable_by_others(self) -> None:
        """A folder in which others may put files stops the start."""
        self.folder.chmod(0o770)
        self.assertIn(f"chmod 700 {self.folder}", self.refused(Forbidden))

    def test_z05_refused_reload_keeps_the_keys_in_use(self) -> None:
        """A reload that is refused leaves the signer as it was."""
        (self.folder / SIGNING).chmod(0o644)
        self.assertRaises(Forbidden, self.keyring.reload)
        signatures.verify(jose.parse_jws(self.keyring.signer.sign(Kind.ACCESS, {})), self.keyring.published())

    def test_z06_signing_key_missing(self) -> None:
        """Without a signing key the room starts, and whatever needs a signature is unavailable."""
        (self.folder / SIGNING).unlink()
        keyring = self.reopened()
        self.assertRaises(Unavailable, keyring.signer.sign, Kind.ACCESS, {})
        self.assertEqual(keyring.published().keys, ())
        keyring.rotate()
        signatures.verify(jose.parse_jws(keyring.signer.sign(Kind.ACCESS, {})), keyring.published())

    def test_client_key_missing(self) -> None:
        """Without the client key the agent is unavailable, and the next `create` makes a new pair."""
        (self.folder / CLIENT_KEY).unlink()
        keyring = self.reopened()
        self.assertRaises(Unavailable, keyring.agent.sign, Kind.RECEIPT, {})
        self.assertRaises(Unavailable, lambda: keyring.agent.certificate)
        keyring.create(CLIENT)
        self.assertNotEqual(keyring.agent.certificate, self.keyring.agent.certificate)

    def test_damaged_files_are_one_clear_line(self) -> None:
        """Each damaged file stops the start with its name."""
        for name in (SIGNING, CLIENT_KEY, CLIENT_CERTIFICATE):
            with self.subTest(name):
                path = self.folder / name
                kept = path.read_bytes()
                path.write_bytes(b"\0damaged")
                self.assertIn(
                    str(self.folder / (CLIENT_KEY if name == CLIENT_CERTIFICATE else name)), self.refused(Damaged)
                )
                path.write_bytes(kept)

    def test_missing_certificate_beside_a_key(self) -> None:
        """A client key without its certificate stops the start."""
        (self.folder / CLIENT_CERTIFICATE).unlink()
        self.assertIn(CLIENT_CERTIFICATE, self.refused(Damaged))

    def test_missing_folder(self) -> None:
        """Without the folder the line says how to make one; a file in its place is refused."""
        elsewhere = Keyring(Settings(path=str(self.folder / "none")), lambda: self.now)
        self.assertIn("rrsctl init", str(self.assertRaises(Damaged, elsewhere.reload)))
        file = Keyring(Settings(path=str(self.folder / SIGNING)), lambda: self.now)
        self.assertIn("not a folder", str(self.assertRaises(Damaged, file.reload)))

    def test_a_name_that_cannot_be_read(self) -> None:
        """Something that is no readable file stops the start."""
        (self.folder / SIGNING).unlink()
        (self.folder / SIGNING).mkdir(mode=0o700)
        self.assertIn(SIGNING, self.refused(Damaged))

    def test_walk_of_the_client_key(self) -> None:
        """At each step the folder, a restart and the agent agree on what is presented and what is published."""
        first = self.keyring.agent.certificate
        self.assertTrue(self.keyring.take_step(Step.PUBLISH))
        self.assertEqual(self.keyring.agent.certificate, first)
        _, following = self.keyring.agent.certificates
        self.assertEqual(self.keyring.agent.published(), (first.spki, following.spki))
        self.assertEqual(following.client, CLIENT)
        self.assertTrue(self.reopened().take_step(Step.USE))
        self.keyring.reload()
        self.assertEqual(self.keyring.agent.certificates, (following, first))
        signed = jose.parse_jws(self.keyring.agent.sign(Kind.IMPERSONATION, {"sub": "bob@bar.test"}))
        signatures.verify_with_certificate(signed, following)
        self.assertTrue(self.keyring.take_step(Step.WITHDRAW))
        self.assertEqual(self.keyring.agent.published(), (following.spki,))
        self.assertEqual([key.pair.certificate for key in self.reopened().client_keys()], [following])

    def test_each_step_can_be_repeated(self) -> None:
        """A repeated command says so and changes nothing; one out of turn is refused and changes nothing."""
        for step in (Step.PUBLISH, Step.USE, Step.WITHDRAW):
            self.assertTrue(self.keyring.take_step(step))
            before = (self.folder / CLIENTS).read_bytes()
            self.assertFalse(self.reopened().take_step(step))
            self.assertEqual((self.folder / CLIENTS).read_bytes(), before)
        self.assertRaises(Conflict, self.keyring.take_step, Step.USE)
        self.assertEqual((self.folder / CLIENTS).read_bytes(), before)

    def test_steps_wait(self) -> None:
        """`use` is refused for as long as others remember what was published before."""
        waits = Waits(timedelta(hours=1), timedelta(days=1))
        self.keyring.take_step(Step.PUBLISH)
        self.assertRaises(Conflict, self.keyring.require_step, Step.USE, waits)
        self.now += timedelta(hours=1)
        self.keyring.require_step(Step.USE, waits)

    def test_one_private_file_holds_the_client_keys(self) -> None:
        """From the first step on, the files that `create` wrote are gone, and no old key is left anywhere."""
        self.keyring.take_step(Step.PUBLISH)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in self.folder.iterdir()}
        self.assertEqual(modes, {SIGNING: 0o600, CLIENTS: 0o600})
        old = self.keyring.agent.pair.key_pem
        for step in (Step.USE, Step.WITHDRAW):
            self.keyring.take_step(step)
        self.assertNotIn(json.dumps(old.decode()).encode(), (self.folder / CLIENTS).read_bytes())
        self.keyring.create(CLIENT)
        self.assertEqual({path.name for path in self.folder.iterdir()}, {SIGNING, CLIENTS})

    def test_damaged_client_keys(self) -> None:
        """A file of client keys that is damaged, or that others may read, stops the start (Z-05)."""
        self.keyring.take_step(Step.PUBLISH)
        (self.folder / CLIENTS).chmod(0o640)
        self.assertIn(f"run: chmod 600 {self.folder / CLIENTS}", self.refused(Forbidden))
        (self.folder / CLIENTS).chmod(0o600)
        (self.folder / CLIENTS).write_bytes(b"\0damaged")
        self.assertIn(str(self.folder / CLIENTS), self.refused(Damaged))

    def test_no_client_key_to_follow(self) -> None:
        """Without a client certificate there is nothing to change, and nothing is published."""
        (self.folder / CLIENT_KEY).unlink()
        keyring = self.reopened()
        self.assertRaises(Unavailable, keyring.take_step, Step.PUBLISH)
        self.assertEqual(keyring.agent.published(), ())

    def test_withdraw_before_any_walk(self) -> None:
        """There is no old key: nothing changes, and the files that `create` wrote stay."""
        before = {path.name for path in self.folder.iterdir()}
        self.assertFalse(self.keyring.take_step(Step.WITHDRAW))
        self.assertEqual({path.name for path in self.folder.iterdir()}, before)

    def test_a_certificate_without_a_client(self) -> None:
        """No other certificate can follow one that names no client."""
        pair = Authority().server("foo.test")
        (self.folder / CLIENT_CERTIFICATE).write_bytes(pair.certificate_pem)
        (self.folder / CLIENT_KEY).write_bytes(pair.key_pem)
        self.assertRaises(Damaged, self.reopened().take_step, Step.PUBLISH)

    def test_another_algorithm(self) -> None:
        """The keys that wait and sign keep theirs: after two rotations the other algorithm is at work."""
        settings = Settings(path=str(self.folder), algorithm=Signing.RS256)
        keyring = Keyring(settings, lambda: self.now)
        keyring.reload()
        algorithms = []
        for _ in range(3):
            algorithms.append(jose.parse_jws(keyring.signer.sign(Kind.ACCESS, {})).algorithm)
            self.assertTrue(keyring.rotate())
            self.now += timedelta(minutes=1)
        self.assertEqual(algorithms, ["ES256", "ES256", "RS256"])
        self.assertEqual({key.algorithm for key in self.reopened().published().keys}, {"ES256", "RS256"})

    def test_j24_signed_just_before_a_rotation(self) -> None:
        """A token verifies until it expires, and then, with the grace over, its key is gone."""
        old = jose.parse_jws(self.keyring.signer.sign(Kind.ACCESS, {}))
        self.keyring.rotate()
        life = self.keyring.settings.grace
        self.now += life - timedelta(seconds=1)
        signatures.verify(old, self.keyring.published())
        self.now += timedelta(seconds=1)
        self.assertRaises(Unproven, signatures.verify, old, self.keyring.published())

    def test_j24_key_not_yet_active(self) -> None:
        """The next key is published, and what it signs is not ours."""
        following = next(key for key in self.keyring.signing_keys() if key.state is State.NEXT)
        signer = Signer()
        signer.use(following)
        early = jose.parse_jws(signer.sign(Kind.ACCESS, {}))
        self.assertIn(following.kid, {key.kid for key in self.keyring.published().keys})
        self.assertRaises(Unproven, signatures.verify, early, self.keyring.published())
        self.keyring.rotate()
        signatures.verify(early, self.keyring.published())

    def test_agent_signs_with_the_key_of_its_certificate(self) -> None:
        """The agent's signature verifies with the certificate that it presents."""
        jws = jose.parse_jws(self.keyring.agent.sign(Kind.IMPERSONATION, {"sub": "bob@bar.test"}))
        signatures.verify_with_certificate(jws, self.keyring.agent.certificate)
        self.assertEqual(self.keyring.agent.certificate.client, CLIENT)


class ReplaceTests(SynchronousTestCase):
    """A file is replaced in one step."""

    def test_a_left_over_of_a_crash_does_not_lend_its_mode(self) -> None:
        """A temporary file that somebody made readable is not written into."""
        folder = Path(self.mktemp())
        folder.mkdir()
        left = folder / ".a.new"
        left.touch(0o666)
        left.chmod(0o666)
        files.replace(folder / "a", b"secret")
        self.assertEqual(stat.S_IMODE((folder / "a").stat().st_mode), 0o600)
        self.assertEqual(os.listdir(folder), ["a"])

    def test_a_key_is_never_overwritten(self) -> None:
        """A new file is not written over one that is there."""
        path = Path(self.mktemp())
        files.write_new(path, b"one")
        self.assertRaises(Conflict, files.write_new, path, b"two")
        self.assertEqual(path.read_bytes(), b"one")

    def test_no_place_to_write(self) -> None:
        """A file system that takes nothing is said to have no space."""
        self.assertRaises(NoSpace, files.replace, Path(self.mktemp()) / "none" / "a", b"")

    def test_what_cannot_be_removed(self) -> None:
        """A name under something that is no folder is not taken for a file that is gone."""
        path = Path(self.mktemp())
        files.write_new(path, b"one")
        self.assertRaises(NoSpace, files.remove, path / "a")
